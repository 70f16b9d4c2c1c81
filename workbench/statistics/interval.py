"""Confidence intervals of rates, means and differences.

NaN stands for what cannot be known. No interval is given where none would hold its 95%: `tests/simulations` draws the
line, and its README holds the coverage of each on this side of it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.statistics.skewness import skew_test

LEVEL = 0.95
MIN_CASES = 20
"""Cases from which a mean of values with a lower and an upper end has an interval."""
MIN_CASES_UNBOUNDED = 30
"""The same for values without ends, whose longest tail few cases show."""
MIN_DIFFERING = 10
"""Cases that must differ from the commonest value: nineteen scores of 1 and a 0.5 say nothing of how low others go."""
MIN_DISCORDANT = 5
"""Cases that only one of two variants has right, for an interval of the difference of their rates."""

TOO_FEW = "too few cases"
TOO_ALIKE = "too few cases that differ"


class Interval(NamedTuple):
    low: float
    high: float


UNKNOWN = Interval(float("nan"), float("nan"))


class Bounds(NamedTuple):
    """An interval, or why there is none."""

    interval: Interval
    unknown: str = ""


def wilson(successes: float, n: float, level: float = LEVEL) -> Interval:
    """The score interval of a rate (Wilson 1927); between 0 and 1 for no observation at all.

    n need not be whole: see `effective_number`.
    """
    if n <= 0:
        return Interval(0.0, 1.0)
    from scipy.special import ndtri

    z = float(ndtri(0.5 + level / 2))
    rate = successes / n
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (rate * (1 - rate) / n + z * z / (4 * n * n)) ** 0.5
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Interval(0.0 if successes == 0 else low, 1.0 if successes == n else high)


def is_rate(value: float, n: int) -> bool:
    """Whether a mean over n can be one of right and wrong: a whole number of n."""
    return n > 0 and 0 <= value <= 1 and abs(value * n - round(value * n)) < 1e-6


def effective_number(means: NDArray[np.float64], cells: int) -> float:
    """How many independent cells the repeats of these cases are worth (Korn and Graubard 1998).

    means: the rate of each case. cells: all repeats together. Repeats that always agree are worth their cases,
    repeats that know nothing of each other are worth all cells.
    """
    cases = len(means)
    rate = float(means.mean()) if cases else 0.0
    if cases < 2 or rate in (0.0, 1.0):
        return float(cases)
    variance = float(means.var(ddof=1)) / cases
    return float(cells) if variance == 0 else min(max(rate * (1 - rate) / variance, float(cases)), float(cells))


def rate_interval(means: NDArray[np.float64], cells: int, level: float = LEVEL) -> Interval:
    """The interval of a rate over cases, each with the share of its repeats that were right."""
    n = effective_number(means, cells)
    return wilson(float(means.mean()) * n if len(means) else 0.0, n, level)


def mean_interval(values: NDArray[np.float64], bounded: bool = False, level: float = LEVEL) -> Bounds:
    """The interval of a mean, one value a case, corrected for skewness.

    bounded: every possible value lies between 0 and 1. NaN values are missing.
    """
    own = values[~np.isnan(values)]
    if unknown := why_unknown(own, bounded):
        return Bounds(UNKNOWN, unknown)
    test = skew_test(own, level, bounded, hull=not bounded)
    low, high = test.low, test.high
    return Bounds(Interval(max(low, 0.0), min(high, 1.0)) if bounded else Interval(low, high))


def difference_interval(differences: NDArray[np.float64], bounded: bool = False, level: float = LEVEL) -> Bounds:
    """The interval of a mean difference, one a case. bounded: of values between 0 and 1."""
    own = differences[~np.isnan(differences)]
    if unknown := why_unknown(own, bounded):
        return Bounds(UNKNOWN, unknown)
    test = skew_test(own, level, bounded)
    return Bounds(Interval(test.low, test.high))


def rate_difference_interval(a_only: int, b_only: int, n: int, level: float = LEVEL) -> Bounds:
    """The interval of b's rate minus a's on the same n cases (Bonett and Price 2012).

    a_only, b_only: cases that only the one has right.
    """
    if a_only + b_only < MIN_DISCORDANT:
        return Bounds(UNKNOWN, TOO_ALIKE if n >= MIN_CASES else TOO_FEW)
    from scipy.special import ndtri

    difference = (b_only - a_only) / (n + 2)
    variance = ((a_only + b_only + 2) / (n + 2) - difference**2) / (n + 2)
    half = float(ndtri(0.5 + level / 2)) * variance**0.5
    return Bounds(Interval(max(-1.0, difference - half), min(1.0, difference + half)))


def why_unknown(values: NDArray[np.float64], bounded: bool) -> str:
    """Why these values, none of them NaN, have no interval; "" where they have one."""
    if len(values) < (MIN_CASES if bounded else MIN_CASES_UNBOUNDED):
        return TOO_FEW
    return TOO_ALIKE if count_differing(values) < MIN_DIFFERING else ""


def count_differing(values: NDArray[np.float64]) -> int:
    """How many values are not the one in the middle, which is the commonest wherever few others are left."""
    if not len(values):
        return 0
    middle = np.partition(values, len(values) // 2)[len(values) // 2]
    same = int((np.abs(values - middle) <= 1e-9 * np.abs(values).max()).sum())
    return len(values) - (same if same > 1 else 0)
