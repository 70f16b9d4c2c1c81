"""Non-inferiority: whether scores are at most a margin lower than others on the same cases.

A test of difference that finds nothing says little; here "not worse" has to be shown, at a one-sided 2.5%.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.statistics.interval import (
    LEVEL,
    MIN_DISCORDANT,
    difference_interval,
    rate_difference_interval,
)
from workbench.statistics.power import POWER

MarginOutcome = Literal["better", "not worse", "worse", "not enough cases"]


class MarginTest(NamedTuple):
    """gain: mean of the cases' gains, higher is better; low, high: its interval, NaN where there is none.

    bound: the gain is at least this, at a one-sided 2.5%; NaN where nothing can be said. within: the bound is above
    minus the margin. needed_cases: cases with which a score that has not changed would be within the margin four times
    in five; None where it is within it already or that cannot be said.
    """

    n: int
    gain: float
    low: float
    high: float
    bound: float
    within: bool
    needed_cases: int | None


def check_margin(gains: NDArray[np.float64], margin: float, binary: bool, bounded: bool) -> MarginTest:
    """gains: one a case, NaN where a side has no value. margin: above 0, in the metric's unit.

    binary: of right and wrong, or means of such. bounded: each value lies between 0 and 1.
    """
    own = gains[~np.isnan(gains)]
    n = len(own)
    if not n:
        return MarginTest(0, math.nan, math.nan, math.nan, math.nan, False, None)
    interval = _find_interval(own, binary, bounded)
    bound = interval[0]
    if (bounded or binary) and (math.isnan(bound) or not (own > 0).any()):
        bound = float(np.fmin(bound, -_highest_rate(int((own < 0).sum()), n)))
    within = bound > -margin and n >= (_least_cases(margin) if bounded or binary else 0)
    needed = None if within else _count_needed(own, margin, bounded or binary)
    return MarginTest(n, float(own.mean()), *interval, bound, within, needed)


def _find_interval(own: NDArray[np.float64], binary: bool, bounded: bool) -> tuple[float, float]:
    if binary and bool(np.isin(own, (-1.0, 0.0, 1.0)).all()):
        found = rate_difference_interval(int((own < 0).sum()), int((own > 0).sum()), len(own)).interval
    else:
        found = difference_interval(own, bounded or binary).interval
    return found.low, found.high


def _highest_rate(seen: int, n: int) -> float:
    """The upper end of a rate at a one-sided 2.5% (Clopper and Pearson 1934).

    The mean loss is at most the rate of the cases that lose, since none can lose more than 1. That holds where too few
    cases differ for an interval, and where none gains, so that the interval of a difference is too narrow.
    """
    from scipy.special import betaincinv

    return 1.0 if seen >= n else float(betaincinv(seen + 1, n - seen, 0.5 + LEVEL / 2))


def _least_cases(margin: float, level: float = 1 - LEVEL) -> int:
    """With fewer, a loss of 1 on a share of the cases as large as the margin would too often not be among them."""
    return 1 if margin >= 1 else math.ceil(math.log(level) / math.log(1 - margin))


def _count_needed(own: NDArray[np.float64], margin: float, bounded: bool) -> int | None:
    from scipy.special import ndtri

    n = len(own)
    spread = float(np.sqrt(np.mean(own**2)))  # about 0: the score is taken not to have changed
    found = [n + 1]
    if spread:
        quantiles = float(ndtri(0.5 + LEVEL / 2)) + float(ndtri(POWER))
        found.append(math.ceil((quantiles * spread / margin) ** 2))
    if bounded:
        few = int((own != 0).sum()) < MIN_DISCORDANT
        found.append(_least_cases(margin, 0.5 - LEVEL / 2 if few else 1 - LEVEL))
    return max(found) if spread or bounded else None
