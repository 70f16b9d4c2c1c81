"""VerdictView: a verdict on one page: what to do, the table, the plots, why, and what may overturn it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual_plot import HiResMode, PlotWidget

from workbench.training.verdict import CurvePoint, Verdict, describe_metric
from workbench.tui.verdict_text import (
    COLOURS,
    LETTERS,
    describe_caveats,
    describe_cost,
    describe_headline,
    describe_reasons,
    find_metric,
    lay_table,
)
from workbench.tui.widgets.estimate_plot import draw_estimate
from workbench.tui.widgets.plain import Static, escape_label

_NO_CURVE = """\
learning curve

No data. Enter row counts under “learning curve” (f2), such as 10,25,50,100: the adapter is then trained on each, and \
score vs rows is plotted here beside score vs shots."""


class VerdictView(VerticalScroll):
    """Scrolls as a whole; the table comes first."""

    def __init__(self) -> None:
        super().__init__(id="verdict-view")
        self._verdict: Verdict | None = None
        self._metric = ""

    def compose(self) -> ComposeResult:
        yield Static(id="verdict-headline")
        yield Static(id="verdict-table")
        yield Static(id="verdict-cost")
        with Horizontal(id="verdict-plots"):
            yield PlotWidget(id="verdict-tokens", allow_pan_and_zoom=False)
            yield PlotWidget(id="verdict-rows", allow_pan_and_zoom=False)
            yield PlotWidget(id="verdict-shots", allow_pan_and_zoom=False)
            yield Static(_NO_CURVE, id="verdict-no-curve")
        with Horizontal(id="verdict-words"):
            yield Static(id="verdict-why")
            yield Static(id="verdict-caveats")

    def on_mount(self) -> None:
        for plot in self.query(PlotWidget):
            plot.can_focus = False

    def show(self, verdict: Verdict, metric: str) -> None:
        """Show a verdict by one of its metrics."""
        self._verdict, self._metric = verdict, metric
        self.set_class(bool(verdict.curve), "-curve")
        for id, text in (
            ("headline", describe_headline(verdict)),
            ("cost", describe_cost(verdict)),
            ("why", describe_reasons(verdict)),
            ("caveats", describe_caveats(verdict)),
        ):
            self.query_one(f"#verdict-{id}", Static).update(text)
        self._lay()
        self._draw_tokens(verdict)
        self._draw_curve(verdict, "rows")
        self._draw_curve(verdict, "shots")

    def on_resize(self) -> None:
        self._lay()

    def _lay(self) -> None:
        if self._verdict is not None and self.size.width:
            metric = find_metric(self._verdict, self._metric)
            text = lay_table(self._verdict, metric, self.scrollable_content_region.width - 2)
            self.query_one("#verdict-table", Static).update(text)

    def _draw_tokens(self, verdict: Verdict) -> None:
        """Score against the tokens of a request, each arm by its letter."""
        plot, metric = self.query_one("#verdict-tokens", PlotWidget), find_metric(verdict, self._metric)
        plot.clear()
        widest = 1.0
        for index, one in enumerate(verdict.conditions):
            found = one.scores.get(metric.name)
            if found is None or found.value != found.value:
                continue
            tokens = one.tokens_in + one.tokens_out
            widest = max(widest, tokens)
            colour = f"bold {self.app.theme_variables[COLOURS[index]]}"
            draw_estimate(plot, tokens, found.value, found.low, found.high, LETTERS[index], colour)
        plot.set_xlimits(0.0, widest * 1.1)
        self._label(plot, "tokens of a request", describe_metric(metric), metric.free)

    def _draw_curve(self, verdict: Verdict, kind: Literal["rows", "shots"]) -> None:
        plot = self.query_one(f"#verdict-{kind}", PlotWidget)
        plot.clear()
        points = [one for one in verdict.curve if one.kind == kind and one.score.value == one.score.value]
        if points:
            self._draw_points(plot, points, self.app.theme_variables["success" if kind == "rows" else "accent"])
        label = "training rows" if kind == "rows" else "shots in the prompt"
        self._label(plot, label, describe_metric(verdict.metric), verdict.metric.free)

    def _draw_points(self, plot: PlotWidget, points: Sequence[CurvePoint], colour: str) -> None:
        x, y = [float(one.count) for one in points], [one.score.value for one in points]
        plot.plot(x, y, line_style=colour, hires_mode=HiResMode.BRAILLE)
        for at, one in zip(x, points, strict=True):
            draw_estimate(plot, at, one.score.value, one.score.low, one.score.high, "●", colour)
        plot.set_xlimits(min(0.0, *x), max(x) * 1.08 or 1.0)

    def _label(self, plot: PlotWidget, x: str, y: str, free: bool) -> None:
        plot.set_xlabel(x)
        plot.set_ylabel(escape_label(y))
        if not free:
            plot.set_ylimits(0.0, 1.05)
