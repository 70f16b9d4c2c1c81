"""Skewness: Student's t test and interval, corrected for how skewed the values are (Hall 1992).

Scores near their best value, perplexities and costs have a long tail on one side. The plain t and the bootstrap's
percentiles then miss the truth on that side far more often than they say. Hall's cubic transformation takes the
skewness out of the t statistic, and can be turned round, so that test and interval are one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_BOUNDED, _FREE = 0.7, 1.2
"""How much of the skewness is taken out. A sample shows too little of an endless tail, and too much of a short one:
both numbers are where the simulated coverage is nearest to 95%."""

_DRAWS = 4_000


class SkewTest(NamedTuple):
    """The interval of the mean, and the two-sided p of a mean of 0; p <= 1 - level exactly where 0 lies outside."""

    low: float
    high: float
    p: float


def skew_test(values: NDArray[np.float64], level: float, bounded: bool, hull: bool = True) -> SkewTest:
    """values: at least three, not all the same. bounded: they cannot go beyond ends that are known.

    hull: on each side the wider of this interval and Student's, for values whose tails may be long on both sides,
    such as differences: what looks like skewness is then often a single far value.
    """
    from scipy.special import stdtr, stdtrit

    n = len(values)
    size = float(np.abs(values).max()) or 1.0  # powers of large values would overflow
    mean = float((values / size).mean())
    error, skew = _shape(values / size - mean)
    bend = (_BOUNDED if bounded else _FREE) * skew / (3 * n**0.5)
    far = float(stdtrit(n - 1, 0.5 + level / 2))
    low, high = mean - _unbend(far, bend) * error, mean - _unbend(-far, bend) * error
    t = mean / error
    p = 2 * float(stdtr(n - 1, -abs(_bend(t, bend))))
    if hull:
        low, high = min(low, mean - far * error), max(high, mean + far * error)
        p = max(p, 2 * float(stdtr(n - 1, -abs(t))))
    return SkewTest(low * size, high * size, p)


def _shape(deviations: NDArray[np.float64]) -> tuple[float, float]:
    """The standard error of the mean, and the skewness, less where so few normal values would show as much."""
    n = len(deviations)
    second = float((deviations**2).mean())
    skew = float((deviations**3).mean()) / second**1.5 * (n * (n - 1)) ** 0.5 / (n - 2)
    return (second / (n - 1)) ** 0.5, skew**3 / (skew**2 + 6 / n)


def _bend(t: float, bend: float) -> float:
    """Hall's transformation of a t statistic."""
    return t + bend * t**2 + bend**2 * t**3 / 3 + bend / 2


def _unbend(value: float, bend: float) -> float:
    """The t statistic that the transformation takes to this value."""
    if abs(bend) < 1e-9:
        return value
    return float((np.cbrt(1 + 3 * bend * (value - bend / 2)) - 1) / bend)


def worst_case_p(values: NDArray[np.float64], furthest: float, seed: int = 0) -> float:
    """The two-sided p of a mean of 0 when one more value may be as bad as can be (Gaffke 2005).

    For values too few or too alike for any other test. Right for every distribution that stays within `furthest` of
    0, so it seldom tells; where the values are all 0 or 1 it is the exact binomial test.
    """
    own = values * np.sign(values.mean()) if len(values) else values
    if not len(own) or own.mean() == 0:
        return 1.0
    distinct, counts = np.unique(own, return_counts=True)
    weights = np.random.default_rng(seed).standard_gamma(np.append(counts, 1.0), size=(_DRAWS, len(counts) + 1))
    below = weights @ np.append(distinct, -furthest) <= 0
    return min(1.0, 2 * (float(below.sum()) + 1) / (_DRAWS + 1))
