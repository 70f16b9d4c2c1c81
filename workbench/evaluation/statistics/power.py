"""Power: how many cases it takes to see a difference, were the one seen so far the true one.

Knows nothing of tests already made. A guess from few cases is a rough one, and says so by being large.
"""

from __future__ import annotations

import math

POWER = 0.8


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
