"""Plots: a run's scores with their intervals, by variant, against the time and against the tokens they take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual_plot import NumericAxisFormatter, PlotWidget
from textual_plot.axis_formatter import CategoricalAxisFormatter

from workbench.sanitize import sanitize
from workbench.tui.widgets.dialog import Dialog
from workbench.tui.widgets.estimate_plot import draw_estimate, find_limits
from workbench.tui.widgets.plain import Label, Static, escape_label, plain_line

_COLOURS = ("primary", "success", "accent", "secondary", "error", "foreground")
_MARKERS = "ABCDEFGH"


class Dot(NamedTuple):
    """One variant: its score with a 95% interval (NaN: none), and what an answer costs."""

    name: str
    score: float
    low: float
    high: float
    seconds: float
    tokens: float


class Chart(NamedTuple):
    title: str
    label: str


_CHARTS = (
    Chart("score with its 95% interval", "variant"),
    Chart("score vs median latency", "seconds"),
    Chart("score vs prompt + completion tokens", "tokens"),
)


class Plots(Dialog[None]):
    """Left and right turn to the next chart."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,p", "dismiss(None)", "close", id="plots.leave"),
        Binding("right,tab,n", "step(1)", "next chart", id="plots.next", priority=True),
        Binding("left,shift+tab", "step(-1)", "previous chart", id="plots.previous", priority=True),
    ]

    def __init__(self, metric: str, dots: Sequence[Dot]) -> None:
        super().__init__()
        self._metric, self._dots, self._at = metric, tuple(dots), 0

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -whole"):
            yield PlotWidget(allow_pan_and_zoom=False)
            yield Static(self._legend(), id="plots-legend")
            yield Label("left/right chart   esc close", classes="muted")

    def on_mount(self) -> None:
        self._draw()

    def action_step(self, step: int) -> None:
        self._at = (self._at + step) % len(_CHARTS)
        self._draw()

    def _legend(self) -> Content:
        parts: list[str | tuple[str, str]] = []
        for index, dot in enumerate(self._dots):
            parts += [(_MARKERS[index % 8], f"bold ${_COLOURS[index % len(_COLOURS)]}"), f" {sanitize(dot.name)}   "]
        return Content.assemble(*parts)

    def _draw(self) -> None:
        chart = _CHARTS[self._at]
        self.query_one(".dialog").border_title = plain_line(f"{self._metric}: {chart.title}")
        plot = self.query_one(PlotWidget)
        plot.clear()
        xs = [self._x_of(number, dot) for number, dot in enumerate(self._dots)]
        for number, (dot, x) in enumerate(zip(self._dots, xs, strict=True)):
            colour = self.app.theme_variables[_COLOURS[number % len(_COLOURS)]]
            draw_estimate(plot, x, dot.score, dot.low, dot.high, _MARKERS[number % 8], f"bold {colour}")
        names = [escape_label(dot.name[:14]) for dot in self._dots]
        plot.set_x_formatter(CategoricalAxisFormatter(names) if self._at == 0 else NumericAxisFormatter())
        widest = max(xs, default=1.0)
        plot.set_xlimits(*((0.5, len(self._dots) + 0.5) if self._at == 0 else (0.0, (widest or 1.0) * 1.1)))
        plot.set_ylimits(*find_limits(value for dot in self._dots for value in (dot.score, dot.low, dot.high)))
        plot.set_xlabel(chart.label)
        plot.set_ylabel(escape_label(self._metric))

    def _x_of(self, number: int, dot: Dot) -> float:
        return (float(number + 1), dot.seconds, dot.tokens)[self._at]
