"""Choosing the next token, as one request's sampling says; the same choices for the same numbers in every engine.

The order is llama.cpp's: grammar, logit bias, penalties, top_k, top_p, min_p, temperature, and the draw. Penalties look
at the last 64 tokens, prompt included. Only tokens that can be drawn are sorted, since vocabularies are large.
Knows nothing of text.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.engines.engine import Sampling
from workbench.engines.likelihood import Logits, find_likeliest
from workbench.errors import EngineError

PENALTY_TOKENS = 64
COLDEST = 1e-3
"""Below this temperature only the likeliest token is left."""

Values = NDArray[np.float64]


class Rules(Protocol):
    """Which tokens may come next."""

    def allow(self, token: int) -> bool: ...

    def mask(self, logits: Logits) -> Logits:
        """A copy in which every token that may not come is minus infinity."""
        ...

    def accept(self, token: int) -> None:
        """Go on behind an allowed token."""
        ...

    def close(self) -> None: ...


class Sampler:
    """The choices of one request. biases: token id -> what is added to its logit."""

    def __init__(
        self, sampling: Sampling, biases: Mapping[int, float], prompt: Sequence[int], rules: Rules | None = None
    ) -> None:
        self._sampling = sampling
        self._biases = biases
        self._rules = rules
        self._greedy = sampling.temperature < COLDEST
        penalties = (sampling.repetition_penalty, sampling.frequency_penalty, sampling.presence_penalty)
        self._penalises = penalties != (1, 0, 0)
        self._recent = deque(prompt[-PENALTY_TOKENS:], maxlen=PENALTY_TOKENS)
        self._random = np.random.default_rng(None if sampling.seed is None else sampling.seed % 2**63)

    @property
    def plain(self) -> bool:
        """Whether the likeliest token is always the choice, so that no other numbers need to be looked at."""
        return self._greedy and not self._biases and not self._penalises and self._rules is None

    def choose(self, logits: Logits, is_free: Callable[[int], bool] | None = None) -> int:
        """The next token. is_free: whether a token that the model would choose may come without asking the rules.

        Raises EngineError where the numbers are not numbers, or the grammar leaves nothing.
        """
        best = int(np.argmax(logits))
        if not np.isfinite(logits[best]):
            raise EngineError(
                "The model gave numbers that are not numbers, so no token can be chosen.",
                "Its weights or those of an adapter may be damaged, or its quantization too coarse; try another file.",
            )
        if self.plain:
            return best
        token = self._pick(logits)
        if self._rules is not None and not (is_free and is_free(token)):
            token = self._follow(self._rules, logits, token)
        self._recent.append(token)
        return token

    def close(self) -> None:
        if self._rules is not None:
            self._rules.close()
            self._rules = None

    def _follow(self, rules: Rules, logits: Logits, token: int) -> int:
        """The token if the rules allow it, else a choice among those that they do; most need no look at all of them."""
        if not rules.allow(token):
            masked = rules.mask(logits)
            if not np.isfinite(masked.max()):
                raise EngineError(
                    "The grammar allows no token at this point of the answer.",
                    "Correct the grammar: each of its ways must come to an end in this model's vocabulary.",
                )
            token = self._pick(masked)
        rules.accept(token)
        return token

    def _pick(self, logits: Logits) -> int:
        if self._biases or self._penalises:
            logits = self._adjust(logits.copy())
        return int(np.argmax(logits)) if self._greedy else self._draw(logits)

    def _adjust(self, logits: Logits) -> Logits:
        sampling = self._sampling
        for token, bias in self._biases.items():
            logits[token] += bias
        for token, count in Counter(self._recent).items() if self._penalises else ():
            value = float(logits[token])
            value = value * sampling.repetition_penalty if value <= 0 else value / sampling.repetition_penalty
            logits[token] = value - count * sampling.frequency_penalty - sampling.presence_penalty
        return logits

    def _draw(self, logits: Logits) -> int:
        tokens, values = find_candidates(logits, self._sampling)
        chances = np.cumsum(np.exp((values - values.max()) / self._sampling.temperature))
        place = int(np.searchsorted(chances, self._random.random() * chances[-1], side="right"))
        return int(tokens[min(place, len(values) - 1)])


def find_candidates(logits: Logits, sampling: Sampling) -> tuple[NDArray[np.intp], Values]:
    """The tokens that may be drawn, and their logits; likeliest first where any limit is set."""
    if sampling.top_k == 0 and sampling.top_p == 1 and sampling.min_p == 0:
        tokens = np.flatnonzero(np.isfinite(logits))
        return tokens, logits[tokens].astype(np.float64)
    if 0 < sampling.top_k < len(logits):
        tokens = find_likeliest(logits, sampling.top_k)
        tokens = tokens[np.isfinite(logits[tokens])]
        values = logits[tokens].astype(np.float64)
        total = float(np.exp(values - values[0]).sum())
    else:
        weights = np.exp(logits - logits.max())
        total = float(weights.sum(dtype=np.float64))
        tokens, values = _sort(np.flatnonzero(weights >= _least(sampling, total, len(logits))), logits)
    if sampling.top_p < 1:
        values = values[: int(np.searchsorted(np.cumsum(np.exp(values - values[0])), sampling.top_p * total)) + 1]
    if sampling.min_p > 0:
        values = values[values >= values[0] + np.log(sampling.min_p)]
    return tokens[: len(values)], values


def _least(sampling: Sampling, total: float, size: int) -> float:
    """A weight, the likeliest token's being 1, below which no token can be drawn; below any weight where there is none.

    All tokens below the (1 - top_p)-th part of an equal share weigh less than 1 - top_p together, so that those above
    reach top_p without them. The margins are for rounding.
    """
    by_share = (1 - sampling.top_p) * total / size if sampling.top_p < 1 else 0.0
    return max(0.999 * by_share, 0.999 * sampling.min_p, float(np.finfo(np.float32).tiny))


def _sort(tokens: NDArray[np.intp], logits: Logits) -> tuple[NDArray[np.intp], Values]:
    values = logits[tokens].astype(np.float64)
    order = np.lexsort((tokens, -values))
    return tokens[order], values[order]
