"""Choosing the next token, as one request's sampling says, in the same order as llama.cpp.

That is: logit bias, penalties, top_k, top_p, min_p, temperature, and the draw. Penalties look at the last 64
tokens, prompt included. Knows nothing of text.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.engines.engine import Sampling

PENALTY_TOKENS = 64
COLDEST = 1e-3
"""Below this temperature only the likeliest token is left."""

Logits = NDArray[np.float32]


class Sampler:
    """The choices of one request. biases: token id -> what is added to its logit."""

    def __init__(self, sampling: Sampling, biases: Mapping[int, float], prompt: Sequence[int]) -> None:
        self._sampling = sampling
        self._biases = biases
        self._greedy = sampling.temperature < COLDEST
        self._penalises = (
            sampling.repetition_penalty,
            sampling.frequency_penalty,
            sampling.presence_penalty,
        ) != (1, 0, 0)
        self._recent = deque(prompt[-PENALTY_TOKENS:], maxlen=PENALTY_TOKENS)
        self._random = np.random.default_rng(None if sampling.seed is None else sampling.seed % 2**63)

    @property
    def plain(self) -> bool:
        """Whether the likeliest token is always the choice, so that no numbers need to be looked at."""
        return self._greedy and not self._biases and not self._penalises

    def choose(self, logits: Logits) -> int:
        """The next token; changes the logits."""
        for token, bias in self._biases.items():
            logits[token] += bias
        if self._penalises:
            self._penalise(logits)
        token = int(np.argmax(logits)) if self._greedy else self._draw(logits)
        self._recent.append(token)
        return token

    def _penalise(self, logits: Logits) -> None:
        sampling = self._sampling
        for token, count in Counter(self._recent).items():
            value = float(logits[token])
            value = value * sampling.repetition_penalty if value <= 0 else value / sampling.repetition_penalty
            logits[token] = value - count * sampling.frequency_penalty - sampling.presence_penalty

    def _draw(self, logits: Logits) -> int:
        sampling = self._sampling
        tokens = _likeliest(logits, sampling.top_k)
        values = logits[tokens].astype(np.float64)
        if sampling.top_p < 1:
            kept = int(np.searchsorted(np.cumsum(_softmax(values)), sampling.top_p)) + 1
            values = values[:kept]
        if sampling.min_p > 0:
            values = values[values >= values[0] + np.log(sampling.min_p)]
        chances = np.cumsum(_softmax((values - values[0]) / sampling.temperature))
        place = int(np.searchsorted(chances, self._random.random() * chances[-1], side="right"))
        return int(tokens[min(place, len(values) - 1)])


def _likeliest(logits: Logits, count: int) -> NDArray[np.intp]:
    """The `count` likeliest tokens (0: all), likeliest first."""
    if not 0 < count < len(logits):
        return np.argsort(-logits, kind="stable")
    tokens = np.argpartition(-logits, count - 1)[:count]
    return tokens[np.argsort(-logits[tokens], kind="stable")]


def _softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    weights: NDArray[np.float64] = np.exp(values - values.max())
    weights /= weights.sum()
    return weights
