"""How many cases it takes to detect a difference, were the one seen so far the true one.

What was seen is itself uncertain, so each number comes with the range that the interval of the difference allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.statistics.effect_size import cohens_dz
from workbench.statistics.interval import Interval

POWER = 0.8

CountCases = Callable[[float], int | None]


class NeededCases(NamedTuple):
    """cases: for the difference that was seen. low, high: for the largest and the smallest that its interval holds;
    high is None where that holds no difference at all."""

    cases: int
    low: int
    high: int | None

    def beyond(self, n: int) -> NeededCases:
        """The same where n cases were not enough."""
        cases = max(self.cases, n + 1)
        return NeededCases(cases, self.low, None if self.high is None else max(self.high, cases))


def needed_for_rates(a_only: float, b_only: float, interval: Interval, level: float = 0.05) -> NeededCases | None:
    """a_only, b_only: the shares of cases that only one has right. None: there is no difference to find."""
    cases = cases_for_rates(a_only, b_only, level)
    if cases is None:
        return None
    differing = a_only + b_only

    def count(difference: float) -> int | None:
        share = max(differing, abs(difference))
        return cases_for_rates((share - difference) / 2, (share + difference) / 2, level)

    return _range(cases, interval, count)


def needed_for_means(differences: NDArray[np.float64], interval: Interval, level: float = 0.05) -> NeededCases | None:
    """differences: one a case. None: there is no difference to find, or no spread to measure it by."""
    cases = cases_for_means(cohens_dz(differences), level)
    if cases is None:
        return None
    spread = float(differences.std(ddof=1))
    return _range(cases, interval, lambda difference: cases_for_means(difference / spread, level))


def _range(cases: int, interval: Interval, count: CountCases) -> NeededCases:
    near, far = sorted(interval, key=abs)
    open_ended = interval.low <= 0 <= interval.high
    low, high = count(far), None if open_ended else count(near)
    return NeededCases(cases, min(low or cases, cases), None if high is None else max(high, cases))


def cases_for_rates(a_only: float, b_only: float, level: float = 0.05, power: float = POWER) -> int | None:
    """Cases for McNemar's test (Connor 1987). a_only, b_only: the shares of cases that only one has right.

    Never fewer than the exact test needs to come out at all. None: there is no difference to find.
    """
    difference, differing = abs(b_only - a_only), a_only + b_only
    if difference == 0:
        return None
    near, far = _quantiles(level, power)
    wanted: float = (near * differing**0.5 + far * max(differing - difference**2, 0.0) ** 0.5) ** 2 / difference**2
    least = math.ceil(math.log2(2 / level)) / differing
    return math.ceil(max(wanted, least))


def cases_for_means(effect: float, level: float = 0.05, power: float = POWER) -> int | None:
    """Cases for a paired test of means. effect: mean over standard deviation of the differences (Cohen's dz).

    None: there is no difference to find.
    """
    if effect == 0 or math.isnan(effect):
        return None
    near, far = _quantiles(level, power)
    return max(2, math.ceil(((near + far) / effect) ** 2 + near**2 / 2))


def _quantiles(level: float, power: float) -> tuple[float, float]:
    from scipy.special import ndtri

    return float(ndtri(1 - level / 2)), float(ndtri(power))
