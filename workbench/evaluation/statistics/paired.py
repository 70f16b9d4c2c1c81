"""Paired comparison: variants on the same cases, two at a time.

Knows nothing of benches: rows are cases, columns are variants, NaN is a case that a variant has no value for. A
value is the mean of a case's repeats, so a case counts once however often it was repeated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.statistics.effect import cohens_dz, cohens_g, rank_biserial
from workbench.evaluation.statistics.interval import LEVEL, Interval, mean_intervals
from workbench.evaluation.statistics.power import cases_for_means, cases_for_rates
from workbench.evaluation.statistics.significance import flip_signs, holm, mcnemar

Outcome = Literal["better", "worse", "not distinguishable"]
SIGNIFICANT = 1 - LEVEL
MCNEMAR = "McNemar's exact test"
PERMUTATION = "paired permutation test"
NO_TEST = "none: no case that both have"


class Contrast(NamedTuple):
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
    needed: int | None
    a_only: int
    b_only: int


def contrast(
    values: NDArray[np.float64],
    pairs: Sequence[tuple[int, int]],
    binary: bool = False,
    lower_is_better: bool = False,
    seed: int = 0,
) -> list[Contrast]:
    """Every pair of columns compared; Holm's correction is over these pairs.

    binary: values are 0 or 1, or means of such. McNemar's test is used where all of a pair are 0 or 1.
    """
    if not pairs:
        return []
    differences = np.stack([values[:, b] - values[:, a] for a, b in pairs], axis=1)
    intervals = mean_intervals(differences, binary, seed=seed)
    plain = [_Plain.of(differences[:, at], binary) for at in range(len(pairs))]
    flipped = flip_signs(differences[:, [not one.rightness for one in plain]], seed)
    tested = iter(flipped)
    plain = [one if one.rightness else one._replace(p=float(next(tested))) for one in plain]
    adjusted = holm([one.p for one in plain])
    level = SIGNIFICANT / len(pairs)
    return [
        one.conclude(pair, interval, p_adjusted, lower_is_better, level)
        for one, pair, interval, p_adjusted in zip(plain, pairs, intervals, adjusted, strict=True)
    ]


class _Plain(NamedTuple):
    """One pair before it is seen beside the others."""

    differences: NDArray[np.float64]
    rightness: bool
    """whether each case is right or wrong, and nothing between"""
    a_only: int
    b_only: int
    p: float

    @classmethod
    def of(cls, column: NDArray[np.float64], binary: bool) -> _Plain:
        own = column[~np.isnan(column)]
        rightness = binary and bool(np.isin(own, (-1.0, 0.0, 1.0)).all())
        a_only, b_only = (int((own < 0).sum()), int((own > 0).sum())) if rightness else (0, 0)
        return cls(own, rightness, a_only, b_only, mcnemar(a_only, b_only) if rightness else math.nan)

    def conclude(
        self, pair: tuple[int, int], interval: Interval, p_adjusted: float, lower_is_better: bool, level: float
    ) -> Contrast:
        n = len(self.differences)
        difference = float(self.differences.mean()) if n else math.nan
        verdict = _judge(-difference if lower_is_better else difference, p_adjusted)
        name, effect = self._measure()
        test = (MCNEMAR if self.rightness else PERMUTATION) if n else NO_TEST
        needed = self._count_needed(level, verdict == "not distinguishable")
        return Contrast(
            *pair,
            n,
            difference,
            interval,
            self.p,
            p_adjusted,
            name,
            effect,
            test,
            verdict,
            needed,
            self.a_only,
            self.b_only,
        )

    def _measure(self) -> tuple[str, float]:
        if self.rightness:
            return "Cohen's g", cohens_g(self.a_only, self.b_only)
        effect = cohens_dz(self.differences)
        if math.isnan(effect) and len(self.differences):
            return "rank-biserial correlation", rank_biserial(self.differences)
        return "Cohen's dz", effect

    def _count_needed(self, level: float, open_question: bool) -> int | None:
        n = len(self.differences)
        if not n:
            return None
        if self.rightness:
            needed = cases_for_rates(self.a_only / n, self.b_only / n, level)
        else:
            needed = cases_for_means(cohens_dz(self.differences), level)
        return max(needed, n + 1) if needed is not None and open_question else needed


def _judge(gain: float, p: float) -> Outcome:
    if math.isnan(gain) or gain == 0 or p > SIGNIFICANT:
        return "not distinguishable"
    return "better" if gain > 0 else "worse"
