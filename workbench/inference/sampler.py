"""Choosing the next token, as one request's sampling says; the same choices for the same logits in every engine.

The order is llama.cpp's (common/sampling.cpp): bans and logit bias, penalties, DRY, top-n-sigma, top_k, typical_p,
top_p, min_p, XTC, temperature, and the draw; mirostat takes the place of all that cuts. Only tokens that can be drawn
are sorted, since vocabularies are large.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence

import numpy as np

from workbench.errors import EngineError
from workbench.inference.candidates import Mirostat, draw, find_candidates, find_temperature
from workbench.inference.constraints import Constraint
from workbench.inference.logprobs import Logits
from workbench.inference.sampling_tokens import NO_TOKENS, SamplingTokens
from workbench.inference.types import Sampling

COLDEST = 1e-3
"""Below this temperature only the likeliest token is left."""


class Sampler:
    """The choices of one request."""

    def __init__(
        self,
        sampling: Sampling,
        tokens: SamplingTokens = NO_TOKENS,
        prompt: Sequence[int] = (),
        constraint: Constraint | None = None,
    ) -> None:
        self.constraint = constraint
        self._sampling = sampling
        self._tokens = tokens
        self._greedy = sampling.temperature < COLDEST and not sampling.dynatemp_range
        penalties = (sampling.repetition_penalty, sampling.frequency_penalty, sampling.presence_penalty)
        self._penalises = penalties != (1, 0, 0) and sampling.repeat_last_n != 0
        window = None if sampling.repeat_last_n < 0 else sampling.repeat_last_n
        written = [token for token in prompt if token >= 0]  # a picture's positions are no tokens
        self._recent = deque(written, maxlen=window)
        self._history = written if sampling.dry_multiplier else []
        self._chosen: list[int] = []
        self._forced: deque[int] = deque()
        self._mirostat = Mirostat(sampling) if sampling.mirostat else None
        self._random = np.random.default_rng(None if sampling.seed is None else sampling.seed % 2**63)
        self._adjusts = bool(tokens.biases or self._penalises or sampling.dry_multiplier)
        self._bans = bool(tokens.banned or sampling.ignore_eos or sampling.min_tokens)

    @property
    def plain(self) -> bool:
        """Whether the likeliest token is always the choice, so that no other logits need to be looked at."""
        free = self.constraint is None and not self._forced and self._sampling.thinking_budget < 0
        return self._greedy and free and not self._adjusts and not self._bans

    @property
    def finished(self) -> bool:
        """Whether the answer is whole, so that nothing can follow it."""
        return self.constraint is not None and self.constraint.finished

    def force(self, tokens: Sequence[int]) -> None:
        """Choose these next, whatever the logits and the constraint say."""
        self._forced.extend(tokens)

    def choose(self, logits: Logits, is_free: Callable[[int], bool] | None = None) -> int:
        """The next token. is_free: whether a token that the model would choose may come whatever the constraint says.

        Raises EngineError where the logits are not finite, or the constraint leaves nothing.
        """
        best = int(np.argmax(logits))
        if not np.isfinite(logits[best]):
            raise not_finite()
        if self.plain:
            return best
        token = self._forced.popleft() if self._forced else self._choose_allowed(logits, is_free)
        self._note(token)
        return token

    def _choose_allowed(self, logits: Logits, is_free: Callable[[int], bool] | None) -> int:
        adjusted = self._adjust(logits)
        if self.constraint is None:
            return self._pick(adjusted)
        if is_free and is_free(token := self._pick(adjusted)):
            return token
        token = self._pick_constrained(self.constraint, logits, adjusted)
        self.constraint.accept(token)
        return token

    def _pick_constrained(self, constraint: Constraint, logits: Logits, adjusted: Logits) -> int:
        """A token that the constraint allows. Only those are looked at: most often they are few of the vocabulary.

        The constraint goes before bans: where only a banned token can follow, it does.
        """
        if self._greedy and constraint.allows(best := int(np.argmax(adjusted))):
            return best
        allowed = constraint.allowed_tokens()
        for tried in (adjusted[allowed], logits[allowed]):
            if len(tried) and np.isfinite(tried.max()):
                return int(allowed[self._pick(tried)])
        raise EngineError(
            "The grammar allows no token at this point of the answer.",
            "Correct the grammar: each of its ways must come to an end in this model's vocabulary.",
        )

    def _note(self, token: int) -> None:
        self._chosen.append(token)
        self._recent.append(token)
        if self._sampling.dry_multiplier:
            self._history.append(token)

    def _pick(self, logits: Logits) -> int:
        if self._greedy:
            return int(np.argmax(logits))
        if self._mirostat:
            return self._mirostat.choose(logits, self._random)
        found = find_candidates(logits, self._sampling, self._random)
        return draw(found, find_temperature(found, self._sampling), self._random)

    def _adjust(self, logits: Logits) -> Logits:
        if not (self._adjusts or self._bans):
            return logits
        logits = logits.copy()
        for token, bias in self._tokens.biases.items():
            logits[token] += bias
        if self._penalises:
            self._penalise(logits)
        if self._sampling.dry_multiplier:
            self._penalise_repeats(logits)
        if self._bans:
            self._ban(logits)
        return logits

    def _penalise(self, logits: Logits) -> None:
        sampling = self._sampling
        for token, count in Counter(self._recent).items():
            value = float(logits[token])
            value = value * sampling.repetition_penalty if value <= 0 else value / sampling.repetition_penalty
            logits[token] = value - count * sampling.frequency_penalty - sampling.presence_penalty

    def _penalise_repeats(self, logits: Logits) -> None:
        """DRY: the longer a text that a token would repeat, the less likely it becomes.

        As in github.com/oobabooga/text-generation-webui, pull request 5677, where it was proposed.
        """
        sampling = self._sampling
        last = sampling.dry_penalty_last_n
        for token, length in find_repeats(self._history[-last:] if last >= 0 else self._history, self._tokens).items():
            if length >= sampling.dry_allowed_length:
                power = min(length - sampling.dry_allowed_length, 64)  # beyond it, the penalty is above every logit
                logits[token] -= min(sampling.dry_multiplier * sampling.dry_base**power, 1e6)

    def _ban(self, logits: Logits) -> None:
        if self._sampling.ignore_eos or len(self._chosen) < self._sampling.min_tokens:
            logits[list(self._tokens.ends)] = -np.inf
        for banned in self._tokens.banned:
            start = len(banned) - 1
            if start == 0 or tuple(self._chosen[-start:]) == banned[:-1]:
                logits[banned[-1]] = -np.inf


def not_finite() -> EngineError:
    return EngineError(
        "The model's logits are not finite numbers, so no token can be chosen.",
        "Its weights or those of an adapter may be damaged, or its quantization too coarse; try another file, or the"
        " model without the adapter.",
    )


def find_repeats(history: Sequence[int], tokens: SamplingTokens) -> dict[int, int]:
    """Tokens that followed an earlier place which ends as the text does -> how many tokens the two have in common.

    A token that holds a sequence breaker ends what is compared.
    """
    if not history or tokens.is_breaker(history[-1]):
        return {}
    found: dict[int, int] = {}
    for index in np.flatnonzero(np.asarray(history[:-1]) == history[-1]).tolist():
        length = 1
        while length <= index and history[index - length] == history[-1 - length]:
            if tokens.is_breaker(history[index - length]):
                break
            length += 1
        following = history[index + 1]
        found[following] = max(found.get(following, 0), length)
    return found
