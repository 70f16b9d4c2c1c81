"""Markdown report: a summary to paste into a pull request or a notebook.

Names and labels are escaped: they are text, never markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TextIO

from workbench.analysis.narrative import narrate
from workbench.analysis.summary import Summary
from workbench.reports.registry import report
from workbench.reports.slice_rows import list_repeats, list_slices
from workbench.reports.tables import (
    ConfusionTable,
    ReportTable,
    TableCell,
    list_confusion,
    list_pairs,
    list_retrieval,
    list_sensitivities,
    list_step_summaries,
    list_variants,
)
from workbench.runs.view import RunView
from workbench.sanitize import sanitize

_ACTIVE = re.compile(r"([\\`*_{}\[\]<>#|~])")


@report(".md", "Markdown", "tables and findings, for a pull request")
def write_markdown(_: RunView, summary: Summary, stream: TextIO) -> None:
    stream.write(render_markdown(summary))


def render_markdown(summary: Summary) -> str:
    parts = [
        f"# {escape(summary.bench or 'Comparison')}",
        escape(narrate(summary)),
        _lay_out(list_variants(summary)),
        *_list_differences(summary),
        *([f"## Prompt sensitivity\n\n{_lay_out(spreads)}"] if (spreads := list_sensitivities(summary)) else []),
        *([f"## Steps\n\n{_lay_out(steps)}"] if (steps := list_step_summaries(summary)) else []),
        *([f"## Retrieval\n\n{_lay_out(effects)}"] if (effects := list_retrieval(summary)) else []),
        *(f"## {escape(one.title)}\n\n{_lay_out(one.table)}" for one in list_slices(summary)),
        *([f"## Several answers to a case\n\n{_lay_out(repeats)}"] if (repeats := list_repeats(summary)) else []),
        *(_lay_out_confusion(list_confusion(one)) for one in summary.confusion),
        *(["## Notes\n\n" + "\n".join(f"- {escape(note)}" for note in summary.notes)] if summary.notes else []),
        f"Run `{summary.run}`. Intervals are 95%, each for itself; differences are paired by case; p is after Holm's"
        " correction over the pairs of a metric.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    return _ACTIVE.sub(r"\\\1", sanitize(" ".join(text.split())))


def _list_differences(summary: Summary) -> Iterator[str]:
    for metric in summary.metrics:
        if found := list_pairs(summary, metric):
            yield f"## Differences: {escape(found.title)}\n\n{_lay_out(found.table)}"


def _lay_out(table: ReportTable) -> str:
    rows = []
    for row in table.rows:
        first, *others = map(_show, row.cells)
        rows.append([f"**{first}**" if row.best else first, *others])
    return _format_table([escape(name) for name in table.head], rows)


def _show(cell: TableCell) -> str:
    if not cell.small:
        return escape(cell.text)
    separated = f"; {escape(cell.small)}" if "(" in cell.small else f" ({escape(cell.small)})"
    return escape(cell.text) + separated


def _lay_out_confusion(table: ConfusionTable) -> str:
    rows = [[escape(row.label), *(str(count.number) for count in row.counts)] for row in table.rows]
    head = ["expected", *map(escape, table.labels), "other"]
    return f"## Confusion matrix of {escape(table.variant)}\n\n{_format_table(head, rows)}"


def _format_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
