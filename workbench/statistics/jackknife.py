"""The interval of a corpus metric, such as BLEU, by leaving out each case in turn.

A metric is a function of sums over the answers, so that leaving one out is a subtraction. The repeats of a case are
left out together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.statistics.interval import LEVEL, MIN_CASES, TOO_FEW, UNKNOWN, Bounds, Interval, why_unknown
from workbench.statistics.skewness import skew_test

_MAX_GROUPS = 1_000
"""With more cases, whole groups of them are left out: as exact, and no slower."""

FromSums = Callable[[NDArray[np.float64]], float]


def jackknife_interval(
    rows: NDArray[np.float64],
    cases: Sequence[int],
    value: FromSums,
    ends: tuple[float, float],
    level: float = LEVEL,
) -> Bounds:
    """rows: what each answer adds to the sums, shape (answers, sums). cases: whose answer each is.

    value: from the sums. ends: the least and the most that it can be. The mean of Tukey's pseudo-values (1958) is taken
    as that of any other skewed numbers.
    """
    _, index = np.unique(np.asarray(cases), return_inverse=True)
    count = int(index.max(initial=-1)) + 1
    if count < MIN_CASES:
        return Bounds(UNKNOWN, TOO_FEW)
    # each group costs one evaluation of the metric: with many cases, whole groups of them are left out
    groups = index if count <= _MAX_GROUPS else np.random.default_rng(0).permutation(count)[index] % _MAX_GROUPS
    sums = np.zeros((min(count, _MAX_GROUPS), rows.shape[1]))
    np.add.at(sums, groups, rows)
    total = sums.sum(axis=0)
    whole, n = value(total), len(sums)
    pseudo = np.array([n * whole - (n - 1) * value(total - one) for one in sums])
    bounded = bool(np.isfinite(ends).all())
    if not np.isfinite(pseudo).all():
        return Bounds(UNKNOWN, "without some cases it has no value")
    if unknown := why_unknown(pseudo, bounded):
        return Bounds(UNKNOWN, unknown)
    test = skew_test(pseudo, level, bounded, hull=not bounded)
    low, high = min(test.low, whole), max(test.high, whole)
    return Bounds(Interval(max(low, ends[0]), min(high, ends[1])))
