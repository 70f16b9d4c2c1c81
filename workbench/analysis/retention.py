"""Retention: what an adapter leaves of a model's skills on tasks that it was not trained for."""

from __future__ import annotations

import msgspec

from workbench.analysis.margin_result import MarginResult
from workbench.analysis.narrative import format_value, name_metric
from workbench.errors import StoreError
from workbench.runs.matrix_rows import Metric
from workbench.runs.view import RunView
from workbench.units import format_plural


class RetentionQuery(msgspec.Struct, frozen=True):
    """Two variants of a run, without the adapter and with it, and how much the scores may fall."""

    run: str
    before: str
    after: str
    margin: float


class Retention(msgspec.Struct, frozen=True):
    """One task that should be kept. cases: of the task; those that failed have no score and are missing in `result`."""

    task: str
    run: str
    prompt: str
    metric: Metric
    margin: float
    cases: int
    result: MarginResult


def check_retention(view: RunView, task: str, query: RetentionQuery) -> Retention:
    """By the run's first metric. Raises StoreError where nothing was scored."""
    from workbench.analysis.margins import PairedScores, judge_margins
    from workbench.analysis.measurements import MOST_CUT, read_costs, read_table

    if not view.metrics:
        raise StoreError(f"No answer of {task} could be scored.", f"See the errors: workbench runs {view.id}")
    metric = view.metrics[0]
    table = read_table(view, metric.name)
    before, after = (table.means[:, view.variants.index(name)] for name in (query.before, query.after))
    sides = {task: PairedScores(before, after, table.cases)}
    result = judge_margins(sides, metric, query.margin)[task]
    costs = read_costs(view)
    cut = [name for name in (query.before, query.after) if costs[name].cut > MOST_CUT * costs[name].n]
    if cut:
        reason = f"More than {MOST_CUT:.0%} of the answers were cut off."
        result = msgspec.structs.replace(result, outcome="incomplete", reason=reason)
    return Retention(task, view.id, view.origin(query.before).prompt.name, metric, query.margin, view.run.cases, result)


def describe_retention(found: Retention) -> str:
    """`fields keeps its score: json fields 1.00 → 0.99 on 200 cases. It loses at most 0.018; the margin is 0.02.`"""
    result = found.result
    outcome = {
        "better": "improves",
        "not worse": "keeps its score",
        "worse": "loses more than the margin",
        "not enough cases": "cannot be judged",
        "incomplete": "cannot be judged",
    }[result.outcome]
    if not result.n:
        return f"{found.task} {outcome}. {result.reason}"
    values = [format_value(value, found.metric, result.n) for value in (result.before, result.after)]
    numbers = f"{name_metric(found.metric.name)} {values[0]} → {values[1]} on {format_plural(result.n, 'case')}"
    return f"{found.task} {outcome}: {numbers}. {result.reason}"
