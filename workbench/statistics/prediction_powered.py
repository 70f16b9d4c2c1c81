"""Prediction-powered inference: many judged cases corrected by a few that people labelled.

The tuned estimator of Angelopoulos, Duchi and Zrnic (2023), "PPI++: Efficient prediction-powered inference". It is
unbiased however bad the judge is, and about as precise as the labels alone or better; the labelled cases have to be
drawn at random.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.statistics.interval import LEVEL, TOO_FEW, UNKNOWN, Bounds, Interval

MIN_LABELS = 20
"""Labelled cases from which a corrected mean has an interval."""


class CorrectedMean(NamedTuple):
    """weight: how much the judge's values count, 0 (worthless) to 1. labels: cases that people labelled."""

    value: float
    bounds: Bounds
    weight: float
    labels: int


def correct_mean(judged: NDArray[np.float64], labels: NDArray[np.float64]) -> CorrectedMean:
    """The mean of the labels over all cases.

    judged: the judge's value of each case. labels: the same length, NaN where there is none. All lie between 0 and 1.
    """
    known = ~np.isnan(labels)
    own, seen, rest = labels[known], judged[known], judged[~known]
    n, unlabelled = len(own), len(rest)
    if n < 2:
        return CorrectedMean(float("nan"), Bounds(UNKNOWN, TOO_FEW), 0.0, n)
    weight = _tune(own, seen, rest)
    errors = own - weight * seen
    value = float(errors.mean()) + (weight * float(rest.mean()) if unlabelled else weight * float(seen.mean()))
    variance = float(errors.var(ddof=1)) / n
    if unlabelled > 1:
        variance += weight**2 * float(rest.var(ddof=1)) / unlabelled
    if n < MIN_LABELS or not variance:
        return CorrectedMean(value, Bounds(UNKNOWN, TOO_FEW), weight, n)
    from scipy.stats import t

    half = float(t.ppf(0.5 + LEVEL / 2, n - 1)) * variance**0.5
    return CorrectedMean(value, Bounds(Interval(max(0.0, value - half), min(1.0, value + half))), weight, n)


def _tune(own: NDArray[np.float64], seen: NDArray[np.float64], rest: NDArray[np.float64]) -> float:
    """The weight with the least variance; none without further cases that were judged."""
    spread = float(np.concatenate([seen, rest]).var(ddof=1))
    if len(rest) < 2 or not spread:
        return 0.0
    shared = float(np.cov(own, seen, ddof=1)[0, 1])
    return min(max(shared / ((1 + len(own) / len(rest)) * spread), 0.0), 1.0)
