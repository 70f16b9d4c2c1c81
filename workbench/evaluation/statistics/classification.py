"""Classification: values that only a whole dataset has, from counts of expected and answered labels, with intervals.

Knows nothing of texts: labels are numbers, and the last column of the counts is any answer that is no label.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.statistics.bootstrap import count_resamples
from workbench.evaluation.statistics.interval import LEVEL, UNKNOWN, Interval

_MOST_CELLS = 64 * 64  # counts grow with the square of the labels
_BLOCK = 4_000_000  # counts held at once


class F1(NamedTuple):
    macro: float
    macro_interval: Interval
    per_class: NDArray[np.float64]


def count_pairs(expected: NDArray[np.int64], answered: NDArray[np.int64], labels: int) -> NDArray[np.int64]:
    """counts[expected, answered]; an answer outside 0..labels-1 goes into the last column."""
    answered = np.where((answered >= 0) & (answered < labels), answered, labels)
    flat = np.bincount(expected * (labels + 1) + answered, minlength=labels * (labels + 1))
    return flat.reshape(labels, labels + 1)


def score_f1(counts: NDArray[np.int64], level: float = LEVEL, seed: int = 0, resamples: int | None = None) -> F1:
    """F1 of each class and their mean, as scikit-learn averages them over the expected labels.

    counts: of `count_pairs`. The interval draws the cases again; unknown for many labels or fewer than two cases.
    """
    per_class = _f1(counts[None])[0]
    total = int(counts.sum())
    macro = float(per_class.mean()) if len(per_class) else float("nan")
    if total < 2 or counts.size > _MOST_CELLS:
        return F1(macro, UNKNOWN, per_class)
    random = np.random.default_rng(seed)
    size = min(resamples or count_resamples(total), _BLOCK // counts.size)
    drawn = random.multinomial(total, counts.ravel() / total, size=size)
    macros = _f1(drawn.reshape(-1, *counts.shape)).mean(axis=1)
    low, high = np.quantile(macros, [(1 - level) / 2, (1 + level) / 2])
    return F1(macro, Interval(float(low), float(high)), per_class)


def _f1(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """shape (resamples, labels, labels + 1) -> (resamples, labels)"""
    labels = counts.shape[1]
    right = np.einsum("rii->ri", counts[:, :, :labels])
    both = counts.sum(axis=2) + counts[:, :, :labels].sum(axis=1)
    f1: NDArray[np.float64] = np.divide(2.0 * right, both, out=np.zeros(both.shape), where=both > 0)
    return f1
