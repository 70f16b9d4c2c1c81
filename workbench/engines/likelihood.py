"""Likelihood: how probable the model found a token, and what it would rather have written.

Works on the model's own logits, before penalties, biases and temperature: what the model thinks, not what the
sampling made of it. Knows nothing of engines or text; how a token is spelled is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.engines.engine import Guess, TokenChoice

Logits = NDArray[np.float32]


def weigh(logits: NDArray[np.float32], token: int, count: int, spell: Callable[[int], bytes]) -> TokenChoice:
    """The token that was chosen with its log-probability (natural), and the `count` likeliest ones.

    logits: one value per token of the vocabulary.
    """
    highest = logits.max()
    normaliser = float(highest) + float(np.log(np.exp(logits - highest).sum(dtype=np.float64)))
    count = min(count, len(logits))
    likeliest = np.argpartition(logits, -count)[-count:]
    likeliest = likeliest[np.argsort(-logits[likeliest], kind="stable")]
    guesses = tuple(Guess(_show(spell(int(best))), float(logits[best]) - normaliser) for best in likeliest)
    return TokenChoice(_show(spell(token)), float(logits[token]) - normaliser, guesses)


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
