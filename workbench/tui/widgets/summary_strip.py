"""SummaryStrip: what the matrix above comes to, variant by variant: score, interval, verdict against the best, time.

Lines up with the columns of the table. Computes nothing.
"""

from __future__ import annotations

from math import isnan

from rich.cells import set_cell_size
from textual.content import Content

from workbench.evaluation.summary import Summary, VariantSummary
from workbench.sanitize import sanitize
from workbench.tui.figures import show_seconds
from workbench.tui.widgets.matrix_table import Columns
from workbench.tui.widgets.plain import Static

_NUMBER = 7
_TONES = {"better": "$text-success", "worse": "$text-error"}

Cell = str | tuple[str, str]


class SummaryStrip(Static):
    """Five rows under the table."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: tuple[Summary, str, Columns] | None = None

    def show(self, summary: Summary | None, metric: str, columns: Columns) -> None:
        """Show the figures of one metric; None while nothing is known yet."""
        if summary is None:
            self.update(Content("\n  The figures appear as soon as the first cells are done."), layout=False)
            return
        if self._shown == (summary, metric, columns):
            return
        self._shown = (summary, metric, columns)
        variants = summary.variants[columns.first : columns.first + columns.shown]
        best = find_best(summary, metric)
        rows: list[tuple[str, list[Cell]]] = [
            (metric.replace("_", " "), [_value(variant, metric, best) for variant in variants]),
            ("95% interval", [_interval(variant, metric) for variant in variants]),
            (f"against {best}" if best else "", [_verdict(summary, variant, metric, best) for variant in variants]),
            ("median time, tokens", [_cost(variant) for variant in variants]),
        ]
        self.update(_lay(rows, columns), layout=False)


def find_best(summary: Summary, metric: str) -> str:
    """The variant with the best value of a metric; "" where none has one."""
    kind = next((kind for kind in summary.metrics if kind.name == metric), None)
    scored = {
        variant.name: variant.scores[metric].value
        for variant in summary.variants
        if metric in variant.scores and not isnan(variant.scores[metric].value)
    }
    if not scored:
        return ""
    lower = kind is not None and kind.lower_is_better
    return (min if lower else max)(scored, key=lambda name: scored[name])


def _value(variant: VariantSummary, metric: str, best: str) -> Cell:
    estimate = variant.scores.get(metric)
    if estimate is None or isnan(estimate.value):
        return ("–", "$foreground 60%")
    counts = {"failed": variant.failed, "cut": variant.cut, "unscored": variant.unscored.get(metric, 0)}
    lacking = "".join(f"  {count:,} {word}" for word, count in counts.items() if count)
    return (f"{estimate.value:.2f}{lacking}", "bold $text-success" if variant.name == best else "bold")


def _interval(variant: VariantSummary, metric: str) -> Cell:
    estimate = variant.scores.get(metric)
    if estimate is None or isnan(estimate.value):
        return ""
    known = not isnan(estimate.low)
    return (f"{estimate.low:.2f} – {estimate.high:.2f}" if known else estimate.unknown, "$foreground 60%")


def _verdict(summary: Summary, variant: VariantSummary, metric: str, best: str) -> Cell:
    """The verdict in a word, and where data is short how much of it would tell."""
    if variant.name == best:
        return ("best", "$text-success")
    if metric not in variant.scores or not variant.scores[metric].n:
        return ""
    pair = summary.pair(best, variant.name, metric)
    if pair is None:
        return ""
    if pair.verdict == "not distinguishable":
        needed = f" ~{pair.needed_cases:,} cases" if pair.needed_cases else ""
        return (f"same?{needed}", "$text-warning")
    return (pair.verdict, _TONES.get(pair.verdict, "$text-warning"))


def _cost(variant: VariantSummary) -> Cell:
    if variant.n == variant.failed:
        return ""
    time = show_seconds(variant.latency_p50) if variant.latency_p50 else "cached"
    return (f"{time} {variant.tokens_in:.0f}→{variant.tokens_out:.0f}", "$foreground 60%")


def _lay(rows: list[tuple[str, list[Cell]]], columns: Columns) -> Content:
    head = _NUMBER + columns.preview + columns.expected
    parts: list[Cell] = []
    for number, (title, cells) in enumerate(rows):
        parts += ["\n" if number else "", (_fit(f"  {title}", head), "$foreground 60%")]
        for cell in cells:
            text, style = cell if isinstance(cell, tuple) else (cell, "")
            parts.append((_fit(text, columns.cell), style) if style else _fit(text, columns.cell))
    return Content.assemble(*parts)


def _fit(text: str, width: int) -> str:
    return set_cell_size(sanitize(text), max(width - 1, 0)) + " "
