"""Likelihood: how probable the model found a token, and what it would rather have written.

Works on the model's own logits, before penalties, biases and temperature: what the model thinks, not what the sampling
made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.inference.types import TokenLogprob, TopLogprob

Logits = NDArray[np.float32]

_BLOCK = 64
"""Logits of which the highest is found first."""


def token_logprob(
    logits: NDArray[np.float32], token: int, count: int, token_to_bytes: Callable[[int], bytes]
) -> TokenLogprob:
    """The token that was chosen with its log-probability (natural), and the `count` likeliest ones.

    logits: one value per token of the vocabulary.
    """
    highest = logits.max()
    normaliser = float(highest) + float(np.log(np.exp(logits - highest).sum(dtype=np.float64)))
    likeliest = find_likeliest(logits, count)
    top_logprobs = tuple(
        TopLogprob(_show(token_to_bytes(int(best))), float(logits[best]) - normaliser) for best in likeliest
    )
    return TokenLogprob(_show(token_to_bytes(token)), float(logits[token]) - normaliser, top_logprobs)


def find_likeliest(logits: Logits, count: int) -> NDArray[np.intp]:
    """The `count` tokens with the highest logits, the likeliest first; of equals the one with the lower number.

    Exact: none of them can be lower than the count-th highest of the maxima of any blocks, and few others are higher.
    """
    width = len(logits) // _BLOCK
    if 0 < count <= width:
        maxima = logits[: width * _BLOCK].reshape(_BLOCK, width).max(axis=0)
        found = np.flatnonzero(logits >= np.partition(maxima, width - count)[width - count])
    else:
        found = np.arange(len(logits))
    return found[np.argsort(-logits[found], kind="stable")][:count]


def log_probabilities(logits: Logits, tokens: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The natural log-probability of each token under its row of logits, and whether it was the likeliest one.

    logits: [tokens, vocabulary].
    """
    highest = logits.max(axis=1)
    sums = np.exp(logits - highest[:, None]).sum(axis=1, dtype=np.float64)
    chosen = logits[np.arange(len(tokens)), np.asarray(tokens, dtype=np.intp)]
    return chosen.astype(np.float64) - highest - np.log(sums), chosen >= highest


def _show(piece: bytes) -> str:
    return piece.decode("utf-8", "replace")
