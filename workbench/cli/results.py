"""The results of a run, in the form that was asked for: a table, JSON, CSV, Markdown, or a file.

Knows nothing of how a run is carried out, nor of how its numbers are worked out (evaluation/summary.py).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from workbench.cli import terminal
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.evaluation.summary import Summary, VariantSummary
    from workbench.evaluation.view import Metric, RunView


class Formats(NamedTuple):
    """What to print on stdout (a table when nothing is chosen), and which files to write."""

    json: bool = False
    csv: bool = False
    markdown: bool = False
    html: Path | None = None
    parquet: Path | None = None

    def check(self) -> None:
        """Raise WorkbenchError for two forms that would get into each other's way."""
        if self.json + self.csv + self.markdown > 1:
            raise WorkbenchError("Only one of --json, --csv and --markdown can go to stdout.", "Choose one of them.")


def report(view: RunView, summary: Summary, formats: Formats) -> None:
    """Print and write what was asked for."""
    if formats.json:
        from workbench.evaluation.reports.json import render_json

        terminal.write(render_json(summary))
    elif formats.markdown:
        from workbench.evaluation.reports.markdown import render_markdown

        terminal.write(render_markdown(summary))
    else:
        _print(summary)


def _print(summary: Summary) -> None:
    from workbench.cli.table import console, make_table, show
    from workbench.evaluation.words import tell

    names = [metric.name for metric in summary.metrics]
    whole = list(dict.fromkeys(key for one in summary.variants for key in one.dataset_scores if "[" not in key))
    priced = any(one.cost_per_thousand > 0 for one in summary.variants)
    numbers = [*names, *whole, "cells", "failed", "median", "p95", "tokens", *(["cost/1000"] if priced else [])]
    table = make_table(["variant", *numbers], right=numbers)
    for one in summary.variants:
        row = [one.name, *(_show_score(one, metric) for metric in summary.metrics)]
        row += [_show(one.dataset_scores.get(key)) for key in whole]
        row += [f"{one.n:,}", f"{one.failed:,}", _time(one.latency_p50), _time(one.latency_p95)]
        row += [f"{one.tokens_in:.0f}→{one.tokens_out:.0f}", *([f"{one.cost_per_thousand:.4g}"] if priced else [])]
        table.add_row(*(show(text) for text in row))
    console().print(table)
    if summary.spreads:
        _print_spreads(summary)
    console().print(show(tell(summary)))
    for note in summary.notes:
        console().print(show(f"Note: {note}"))


def _print_spreads(summary: Summary) -> None:
    """How far each score hangs on the wording of the prompt."""
    from workbench.cli.table import console, make_table, show

    numbers = ["as written", "mean", "lowest", "highest", "deviation", "wordings"]
    table = make_table(["other wordings", "score", *numbers, "worst"], right=numbers)
    for one in summary.spreads:
        values = [_show(value) for value in (one.written, one.mean, one.low, one.high, one.deviation)]
        table.add_row(*(show(text) for text in (one.variant, one.metric, *values, str(one.wordings), one.worst)))
    console().print(table)


def _show_score(one: VariantSummary, metric: Metric) -> str:
    from workbench.evaluation.words import count_digits, format_value

    found = one.scores.get(metric.name)
    if found is None or math.isnan(found.value):
        return "–"
    digits = count_digits(metric, found.n)
    interval = "" if math.isnan(found.low) else f" [{found.low:.{digits}f}, {found.high:.{digits}f}]"
    return f"{format_value(found.value, metric, found.n)}{interval}"


def _show(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"


def _time(seconds: float) -> str:
    from workbench.evaluation.words import format_seconds

    return "–" if math.isnan(seconds) or not seconds else format_seconds(seconds)
