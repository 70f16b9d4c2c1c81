"""Macro F1 and its interval from counts of expected and predicted labels.

Labels are numbers; the last column of the counts is any answer that is no label.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.statistics.interval import LEVEL, TOO_FEW, UNKNOWN, Bounds, Interval

MIN_EXPECTED = 5
"""Cases that must expect each label: of a rarer one nobody knows how often it is found."""

_MAX_COUNTS = 64 * 64  # counts grow with the square of the labels
_BLOCK = 1_500_000  # counts drawn in all
_DRAWS = 2_000
_PRIOR = 0.5  # Jeffreys' for a rate: what an F1 is once the cases are put aside that have nothing to do with its label


class F1(NamedTuple):
    macro: float
    macro_bounds: Bounds
    per_class: NDArray[np.float64]


def count_pairs(expected: NDArray[np.int64], answered: NDArray[np.int64], labels: int) -> NDArray[np.int64]:
    """counts[expected, answered]; an answer outside 0..labels-1 goes into the last column."""
    answered = np.where((answered >= 0) & (answered < labels), answered, labels)
    flat = np.bincount(expected * (labels + 1) + answered, minlength=labels * (labels + 1))
    return flat.reshape(labels, labels + 1)


def score_f1(counts: NDArray[np.int64], level: float = LEVEL, seed: int = 0) -> F1:
    """F1 of each class and their mean, as scikit-learn averages them over the expected labels.

    counts: of `count_pairs`, each case counted once.
    """
    kinds = np.flatnonzero(counts.ravel())
    one_hot = np.zeros((len(kinds), counts.size))
    one_hot[np.arange(len(kinds)), kinds] = 1.0
    return score_repeated_f1(one_hot.reshape(-1, *counts.shape), counts.ravel()[kinds], level, seed)


def score_repeated_f1(kinds: NDArray[np.float64], cases: NDArray[np.int64], level: float = LEVEL, seed: int = 0) -> F1:
    """The same where cases were answered several times.

    kinds: what a case's repeats came to, shape (kinds, labels, labels + 1), each a share of 1. cases: how many there
    are of each kind. Repeats of a case are drawn together.
    """
    counts = np.tensordot(cases.astype(np.float64), kinds, 1)
    per_class = _f1(counts[None])[0]
    macro = float(per_class.mean()) if len(per_class) else float("nan")
    if counts.size > _MAX_COUNTS:
        return F1(macro, Bounds(UNKNOWN, "too many labels"), per_class)
    if not len(per_class) or counts.sum(axis=1).min() < MIN_EXPECTED - 1e-9:
        return F1(macro, Bounds(UNKNOWN, f"{TOO_FEW} of a label"), per_class)
    return F1(macro, Bounds(_bootstrap(kinds, cases, macro, level, seed)), per_class)


def _bootstrap(kinds: NDArray[np.float64], cases: NDArray[np.int64], macro: float, level: float, seed: int) -> Interval:
    """The quantiles of the macro F1 over weights of the cases (Rubin 1981) and a little that may be but was not seen.

    The weights alone come out a little low, as the macro F1 of any sample does; that much is put back.
    """
    labels, columns = kinds.shape[1:]
    random = np.random.default_rng(seed)
    right = np.eye(labels, columns)
    prior = _PRIOR * right + _PRIOR / (2 * labels - 1) * (1 - right)
    size = max(200, min(_DRAWS, _BLOCK // kinds[0].size))
    weights = random.standard_gamma(cases.astype(np.float64), size=(size, len(cases)))
    drawn = (weights @ kinds.reshape(len(kinds), -1)).reshape(-1, labels, columns)
    plain = _f1(drawn).mean(axis=1)
    smoothed = _f1(drawn + random.standard_gamma(prior, size=drawn.shape)).mean(axis=1)
    # the macro F1 of draws is lower on average than the value they were drawn around: centred again here
    found = smoothed + (macro - plain.mean())
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(max(0.0, min(float(low), macro)), min(1.0, max(float(high), macro)))


def _f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """shape (draws, labels, labels + 1) -> (draws, labels)"""
    labels = counts.shape[1]
    right = np.einsum("rii->ri", counts[:, :, :labels])
    both = counts.sum(axis=2) + counts[:, :, :labels].sum(axis=1)
    f1: NDArray[np.float64] = np.divide(2.0 * right, both, out=np.zeros(both.shape), where=both > 0)
    return f1
