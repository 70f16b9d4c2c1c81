"""The scores of slices, and of several answers to a case together, as tables of a report or the command line."""

from __future__ import annotations

import math

from workbench.analysis.narrative import count_digits, format_interval, format_value, name_metric
from workbench.analysis.summary import Estimate, SliceTable, Summary
from workbench.reports.tables import PairTable, ReportRow, ReportTable, TableCell
from workbench.runs.matrix_rows import Metric

_TONES = {"better": "better", "worse": "worse"}


def list_slices(summary: Summary) -> list[PairTable]:
    """For each column that has slices the first metric by its values, and how each variant did there against the best
    of all cases."""
    return [
        PairTable(f"{name_metric(summary.metrics[0].name)} by {table.column}", _list_slice(table, summary))
        for table in summary.slices
        if table.slices and summary.metrics
    ]


def _list_slice(table: SliceTable, summary: Summary) -> ReportTable:
    names, metric = [one.name for one in summary.variants], summary.metrics[0]
    rows = []
    for one in table.slices:
        verdicts = {pair.b: pair.verdict for pair in one.pairs}
        cells = [TableCell(one.value, tone="left"), TableCell(f"{one.cases:,}")]
        for name in names:
            found = one.scores.get(name, {}).get(metric.name)
            cells.append(_show(found, metric, verdicts.get(name, "")) if found else TableCell("–"))
        rows.append(ReportRow(cells))
    return ReportTable([table.column, "cases", *names], rows)


def _show(found: Estimate, metric: Metric, verdict: str) -> TableCell:
    interval = "" if math.isnan(found.low) else format_interval(found, count_digits(metric, found.n, found.value), "–")
    word = verdict if verdict in _TONES else ""
    remarks = ", ".join(filter(None, (interval, word)))
    return TableCell(format_value(found.value, metric, found.n), remarks, _TONES.get(verdict, ""))


def list_repeats(summary: Summary) -> ReportTable | None:
    """What several answers to a case are worth together; None where each case was answered once."""
    if not summary.repeats:
        return None
    counts = sorted({count for one in summary.repeats for count in one.pass_at})
    metrics = {metric.name: metric for metric in summary.metrics}
    rows = []
    for one in summary.repeats:
        metric = metrics[one.metric]
        found = [*(one.pass_at.get(count) for count in counts), one.majority, one.best]
        cells = [TableCell(one.variant, tone="left"), TableCell(name_metric(one.metric)), TableCell(str(one.repeats))]
        cells += [TableCell("–" if value is None else format_value(value.value, metric, value.n)) for value in found]
        rows.append(ReportRow(cells))
    return ReportTable(["variant", "score", "answers", *(f"pass@{k}" for k in counts), "majority", "best of all"], rows)
