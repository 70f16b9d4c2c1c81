"""Paired comparison of variants on the same cases, two at a time.

Rows are cases, columns are variants, NaN is a case that a variant has no value for. A value is the mean of a case's
repeats, so a case counts once however often it was repeated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.statistics.effect_size import cohens_dz, cohens_g, rank_biserial
from workbench.statistics.interval import (
    LEVEL,
    Bounds,
    Interval,
    difference_interval,
    rate_difference_interval,
    why_unknown,
)
from workbench.statistics.power import NeededCases, needed_for_means, needed_for_rates
from workbench.statistics.skewness import skew_test, worst_case_p

Outcome = Literal["better", "worse", "not distinguishable"]
SIGNIFICANT = 1 - LEVEL
MCNEMAR = "McNemar's exact test"
SKEW_T = "paired t test, corrected for skewness"
WORST_CASE = "worst-case test, for few cases that differ"
NO_TEST = "none: no case that both have"

_BEYOND = 3.0
"""A value without ends may lie this many times as far out as the furthest that was seen, unless all are the same."""


class PairedComparison(NamedTuple):
    """Column b against column a; see PairSummary of the summary for the fields."""

    a: int
    b: int
    n: int
    difference: float
    interval: Interval
    p: float
    p_adjusted: float
    effect_name: str
    effect: float
    test: str
    verdict: Outcome
    needed: NeededCases | None
    a_only: int
    b_only: int
    unknown: str = ""

    @property
    def needed_cases(self) -> int | None:
        return self.needed.cases if self.needed else None


def compare_pairs(
    values: NDArray[np.float64],
    pairs: Sequence[tuple[int, int]],
    binary: bool = False,
    lower_is_better: bool = False,
    bounded: bool = False,
) -> list[PairedComparison]:
    """Every pair of columns compared; Holm's correction is over these pairs.

    binary: values are 0 or 1, or means of such. McNemar's test is used where all of a pair are 0 or 1.
    bounded: values lie between 0 and 1.
    """
    plain = [_Pair.of(values[:, b] - values[:, a], binary, bounded or binary) for a, b in pairs]
    adjusted = holm([one.p for one in plain])
    level = SIGNIFICANT / max(1, len(pairs))
    return [
        one.conclude(pair, p_adjusted, lower_is_better, level)
        for one, pair, p_adjusted in zip(plain, pairs, adjusted, strict=True)
    ]


class _Pair(NamedTuple):
    """One pair before it is seen beside the others."""

    differences: NDArray[np.float64]
    rightness: bool
    """whether each case is right or wrong, and nothing between"""
    a_only: int
    b_only: int
    bounds: Bounds
    p: float
    test: str

    @classmethod
    def of(cls, column: NDArray[np.float64], binary: bool, bounded: bool) -> _Pair:
        own = column[~np.isnan(column)]
        rightness = binary and bool(np.isin(own, (-1.0, 0.0, 1.0)).all())
        if rightness:
            a_only, b_only = int((own < 0).sum()), int((own > 0).sum())
            bounds = rate_difference_interval(a_only, b_only, len(own))
            return cls(own, True, a_only, b_only, bounds, mcnemar(a_only, b_only), MCNEMAR if len(own) else NO_TEST)
        p, test = _test_mean(own, bounded)
        return cls(own, False, 0, 0, difference_interval(own, bounded), p, test)

    def conclude(
        self, pair: tuple[int, int], p_adjusted: float, lower_is_better: bool, level: float
    ) -> PairedComparison:
        n = len(self.differences)
        difference = float(self.differences.mean()) if n else math.nan
        name, effect = self._measure()
        return PairedComparison(
            *pair,
            n=n,
            difference=difference,
            interval=self.bounds.interval,
            p=self.p,
            p_adjusted=p_adjusted,
            effect_name=name,
            effect=effect,
            test=self.test,
            verdict=_verdict(-difference if lower_is_better else difference, p_adjusted),
            needed=self._count_needed(level, p_adjusted > SIGNIFICANT),
            a_only=self.a_only,
            b_only=self.b_only,
            unknown=self.bounds.unknown,
        )

    def _measure(self) -> tuple[str, float]:
        if self.rightness:
            return "Cohen's g", cohens_g(self.a_only, self.b_only)
        effect = cohens_dz(self.differences)
        if math.isnan(effect) and len(self.differences):
            return "rank-biserial correlation", rank_biserial(self.differences)
        return "Cohen's dz", effect

    def _count_needed(self, level: float, open_question: bool) -> NeededCases | None:
        n = len(self.differences)
        if self.bounds.unknown:  # a number without its range would be a guess that looks like none
            return None
        if self.rightness:
            needed = needed_for_rates(self.a_only / n, self.b_only / n, self.bounds.interval, level)
        else:
            needed = needed_for_means(self.differences, self.bounds.interval, level)
        return needed.beyond(n) if needed is not None and open_question else needed


def _test_mean(differences: NDArray[np.float64], bounded: bool) -> tuple[float, str]:
    """p of a mean of 0, and by which test."""
    if not len(differences):
        return 1.0, NO_TEST
    if not why_unknown(differences, bounded):
        return skew_test(differences, LEVEL, bounded).p, SKEW_T
    size = np.abs(differences)
    furthest = 1.0 if bounded else float(size.max()) * (1.0 if np.ptp(differences) <= 1e-9 * size.max() else _BEYOND)
    return worst_case_p(differences, furthest), WORST_CASE


def _verdict(gain: float, p: float) -> Outcome:
    if math.isnan(gain) or gain == 0 or p > SIGNIFICANT:
        return "not distinguishable"
    return "better" if gain > 0 else "worse"


def mcnemar(a_only: int, b_only: int) -> float:
    """McNemar's exact test: p from the cases that only one of the two has right."""
    if a_only + b_only == 0:
        return 1.0
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(a_only, b_only), a_only + b_only, 0.5)))


def holm(p: Sequence[float]) -> list[float]:
    """The p-values after Holm's correction (1979): one false alarm in the whole family is then as rare as p says."""
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(np.asarray(p)[order] * np.arange(len(order), 0, -1)))
    return [float(value) for value in adjusted]
