"""Scores held against others on the same cases: at most a margin lower, lower, or too few cases to tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from workbench.analysis.margin_result import MarginResult, MarginVerdict
from workbench.runs.matrix_rows import Metric
from workbench.statistics.non_inferiority import check_margin
from workbench.statistics.paired import compare_pairs
from workbench.units import format_subject


class PairedScores(NamedTuple):
    """Scores of the same cases; NaN where there is none. numbers: of the cases; 0 for one that is gone."""

    before: NDArray[np.float64]
    after: NDArray[np.float64]
    numbers: NDArray[np.int64]


def judge_margins(sides: Mapping[str, PairedScores], metric: Metric, margin: float) -> dict[str, MarginResult]:
    """Each pair of columns by its name. margin: above 0, in the metric's unit; Holm's correction is over the pairs."""
    if not sides:
        return {}
    values = np.stack([side for one in sides.values() for side in (one.before, one.after)], axis=1)
    pairs = [(2 * at, 2 * at + 1) for at in range(len(sides))]
    found = compare_pairs(values, pairs, metric.binary, metric.lower_is_better, not metric.free)
    return {
        name: _judge(name, own, metric, margin, (one.verdict, one.p_adjusted))
        for (name, own), one in zip(sides.items(), found, strict=True)
    }


def _judge(
    name: str, own: PairedScores, metric: Metric, margin: float, significance: tuple[str, float]
) -> MarginResult:
    verdict, p = significance
    gains = (own.after - own.before) * (-1 if metric.lower_is_better else 1)
    both = ~np.isnan(gains)
    missing = int((~np.isnan(own.before) & np.isnan(own.after)).sum())
    test = check_margin(gains, margin, metric.binary, not metric.free)
    found = MarginResult(
        variant=name,
        outcome="not worse",
        reason="",
        n=test.n,
        before=_mean(own.before[both]),
        after=_mean(own.after[both]),
        gain=test.gain,
        low=test.low,
        high=test.high,
        bound=test.bound,
        p_adjusted=p,
        missing=missing,
        broken=tuple(sorted(own.numbers[both & (gains < 0)].tolist())),
        needed_cases=test.needed_cases,
    )
    outcome, reason = _decide(found, margin, verdict, test.within)
    return msgspec.structs.replace(found, outcome=outcome, reason=reason)


def _decide(found: MarginResult, margin: float, verdict: str, within: bool) -> tuple[MarginVerdict, str]:
    if found.missing:
        cases, have = ("case", "has") if found.missing == 1 else ("cases", "have")
        return "incomplete", f"{found.missing:,} {cases} that had a score {have} none now."
    if not found.n:
        return "not enough cases", "No case has a score in both."
    if verdict == "better":
        return "better", f"It gains {found.gain:.3g}, beyond chance."
    if within:
        lower = ", though lower beyond chance" if verdict == "worse" else ""
        return "not worse", f"It loses at most {max(-found.bound, 0.0):.3g}{lower}; the margin is {margin:g}."
    if verdict == "worse":
        return "worse", f"It loses {-found.gain:.3g}, beyond chance; the margin is {margin:g}."
    needed = f"; about {found.needed_cases:,} would tell" if found.needed_cases else ""
    loss = (
        "" if math.isnan(found.bound) else f" It may have lost as much as {-found.bound:.3g}; the margin is {margin:g}."
    )
    return "not enough cases", f"{format_subject(found.n, 'case')} too few{needed}.{loss}"


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else math.nan
