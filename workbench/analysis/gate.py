"""A gate: whether the scores of a run are at most a margin below a committed baseline, on the same cases.

Not worse has to be shown. Where the cases are too few to tell, the gate says so and how many would do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from workbench.analysis.margin_result import MarginResult
from workbench.analysis.margins import PairedScores, judge_margins
from workbench.analysis.measurements import MOST_CUT, read_costs
from workbench.analysis.score_baseline import ScoreBaseline, read_scores
from workbench.errors import BenchError
from workbench.runs.matrix_rows import Metric
from workbench.runs.view import RunView


class Gate(msgspec.Struct, frozen=True):
    """cases_gone: cases of the baseline that the run does not have. cases_new: the other way round; they count for
    nothing. variants_new: variants without a baseline."""

    bench: str
    run: str
    baseline_run: str
    baseline_date: str
    metric: Metric
    margin: float
    results: tuple[MarginResult, ...]
    cases_gone: int = 0
    cases_new: int = 0
    variants_new: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return all(one.passed for one in self.results)

    @property
    def undecided(self) -> bool:
        """Nothing speaks against the run but that there are too few cases."""
        return not self.passed and all(one.passed or one.outcome == "not enough cases" for one in self.results)


def check_gate(
    view: RunView, baseline: ScoreBaseline, margin: float, metric: str = "", variants: Sequence[str] = ()
) -> Gate:
    """Hold a run against a baseline. margin: above 0. variants: only these.

    Raises BenchError where both share no metric or no variant.
    """
    chosen = _choose_metric(view, baseline, metric)
    wanted = [name for name in baseline.header.variants if not variants or name in variants]
    now = {name: (number, scores) for name, number, scores in read_scores(view)}
    then = [one.case for one in baseline.cases]
    if not wanted:
        raise BenchError(
            f"The baseline has no variant {', '.join(variants)}.", f"It has: {', '.join(baseline.header.variants)}."
        )
    columns = {name: _align(baseline, now, name, chosen.name) for name in wanted if name in view.variants}
    judged = judge_margins(columns, chosen, margin)
    cut = {name for name, one in read_costs(view).items() if one.n and one.cut > MOST_CUT * one.n}
    results = []
    for name in wanted:
        result = judged.get(name, MarginResult(name, "incomplete", "The run has no such variant."))
        if name in cut:
            reason = f"More than {MOST_CUT:.0%} of its answers were cut off."
            result = msgspec.structs.replace(result, outcome="incomplete", reason=reason)
        results.append(result)
    return Gate(
        bench=view.run.bench,
        run=view.id,
        baseline_run=baseline.header.run,
        baseline_date=baseline.header.date,
        metric=chosen,
        margin=margin,
        results=tuple(results),
        cases_gone=sum(case not in now for case in then),
        cases_new=len(now.keys() - set(then)),
        variants_new=tuple(name for name in view.variants if name not in baseline.header.variants),
    )


def _choose_metric(view: RunView, baseline: ScoreBaseline, wanted: str) -> Metric:
    known = {metric.name: metric for metric in baseline.header.metrics}
    for metric in view.metrics:
        if metric.name in known and wanted in ("", metric.name):
            return metric
    raise BenchError(
        f"The run and the baseline do not both have {f'the metric {wanted!r}' if wanted else 'a metric'}.",
        f"The baseline has: {', '.join(known) or 'none'}.",
    )


def _align(
    baseline: ScoreBaseline, now: dict[str, tuple[int, dict[str, dict[str, float]]]], variant: str, metric: str
) -> PairedScores:
    rows = []
    for one in baseline.cases:
        number, scores = now.get(one.case, (0, {}))
        before = one.scores.get(variant, {}).get(metric, math.nan)
        rows.append((before, scores.get(variant, {}).get(metric, math.nan), number))
    found = np.array(rows, dtype=np.float64).reshape(len(rows), 3)
    return PairedScores(found[:, 0], found[:, 1], found[:, 2].astype(np.int64))
