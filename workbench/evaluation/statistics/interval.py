"""Intervals: between which values the truth lies, 95 times in a hundred.

Knows nothing of what is measured. NaN stands for what cannot be known, such as the spread of one value.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.statistics.bootstrap import resample_means

LEVEL = 0.95


class Interval(NamedTuple):
    low: float
    high: float


UNKNOWN = Interval(float("nan"), float("nan"))


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


def mean_intervals(
    columns: NDArray[np.float64],
    binary: bool = False,
    level: float = LEVEL,
    seed: int = 0,
    resamples: int | None = None,
) -> list[Interval]:
    """The bootstrap interval of each column's mean, over its rows that are not NaN.

    The percentiles are taken as far out as Student's t asks for so few rows (Hesterberg 2015), since plain ones
    are too narrow. binary: the columns are differences of right and wrong; one row for and one against are
    added to each, as Bonett and Price (2012) do, so that rows which all agree do not pretend to certainty.
    """
    rows = np.vstack([columns, np.ones_like(columns[:1]), -np.ones_like(columns[:1])]) if binary else columns
    counts = (~np.isnan(columns)).sum(axis=0)
    if not columns.size:
        return [UNKNOWN] * columns.shape[1]
    means = resample_means(rows, seed, resamples)
    return [
        _cut(means[:, at], int(count), level, widen=not binary) if count >= 2 or (binary and count) else UNKNOWN
        for at, count in enumerate(counts)
    ]


def _cut(means: NDArray[np.float64], n: int, level: float, widen: bool) -> Interval:
    from scipy.special import ndtr, stdtrit

    tail = (1 - level) / 2
    if widen:
        tail = float(ndtr((n / (n - 1)) ** 0.5 * stdtrit(n - 1, tail)))
    low, high = np.nanquantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high))
