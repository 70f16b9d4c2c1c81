"""Choosing the next token, as one request's sampling says.

The order is llama.cpp's own: logit bias, penalties, top_k, top_p, min_p, temperature, and the draw. Penalties look
at the last 64 tokens, prompt included. Knows nothing of text.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import numpy as np

from workbench.engines.engine import Sampling
from workbench.engines.llamacpp.context import Context
from workbench.engines.llamacpp.native import native
from workbench.errors import EngineError

PENALTY_TOKENS = 64
COLDEST = 1e-3
"""Below this temperature only the likeliest token is left, and dividing by it would leave the range of floats."""

_RANDOM_SEED = 0xFFFFFFFF
"""llama.cpp draws a seed of its own for this one, so it never goes there."""


class Sampler:
    """The chain of one request. biases: token id -> what is added to its logit."""

    def __init__(self, sampling: Sampling, biases: Mapping[int, float], vocabulary: int, prompt: Sequence[int]) -> None:
        self._chain = None
        if _is_greedy(sampling) and not biases and not _penalises(sampling):
            return  # the likeliest token needs no chain
        self._chain = native.llama_sampler_chain_init(native.llama_sampler_chain_default_params())
        for sampler in _make_samplers(sampling, biases, vocabulary):
            native.llama_sampler_chain_add(self._chain, sampler)
        if _penalises(sampling):
            for token in prompt[-PENALTY_TOKENS:]:
                native.llama_sampler_accept(self._chain, token)

    def choose(self, context: Context, index: int) -> int:
        """The next token. Raises EngineError when the model's numbers are not numbers."""
        logits = context.logits(index)
        best = int(np.argmax(logits))
        if not np.isfinite(logits[best]):
            raise EngineError(
                "The model gave numbers that are not numbers, so no token can be chosen.",
                "Its weights may be damaged, or its quantisation too coarse; try another file.",
            )
        return best if self._chain is None else int(native.llama_sampler_sample(self._chain, context.ctx, index))

    def close(self) -> None:
        if self._chain:
            native.llama_sampler_free(self._chain)
            self._chain = None


def _make_samplers(sampling: Sampling, biases: Mapping[int, float], vocabulary: int) -> list[object]:
    samplers = []
    if biases:
        table = (native.llama_logit_bias * len(biases))(*biases.items())
        samplers.append(native.llama_sampler_init_logit_bias(vocabulary, len(biases), table))
    if _penalises(sampling):
        penalties = (sampling.repetition_penalty, sampling.frequency_penalty, sampling.presence_penalty)
        samplers.append(native.llama_sampler_init_penalties(vocabulary, PENALTY_TOKENS, *penalties))
    if _is_greedy(sampling):
        return [*samplers, native.llama_sampler_init_greedy()]
    if sampling.top_k > 0:
        samplers.append(native.llama_sampler_init_top_k(sampling.top_k))
    if sampling.top_p < 1:
        samplers.append(native.llama_sampler_init_top_p(sampling.top_p, 1))
    if sampling.min_p > 0:
        samplers.append(native.llama_sampler_init_min_p(sampling.min_p, 1))
    samplers.append(native.llama_sampler_init_temp(sampling.temperature))
    samplers.append(native.llama_sampler_init_dist(_seed(sampling)))
    return samplers


def _is_greedy(sampling: Sampling) -> bool:
    return sampling.temperature < COLDEST


def _penalises(sampling: Sampling) -> bool:
    return (sampling.repetition_penalty, sampling.frequency_penalty, sampling.presence_penalty) != (1, 0, 0)


def _seed(sampling: Sampling) -> int:
    return random.randrange(_RANDOM_SEED) if sampling.seed is None else sampling.seed % _RANDOM_SEED
