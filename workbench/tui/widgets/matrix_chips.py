"""MatrixChips: the filter as chips with their counts, what else narrows or orders the rows, and the metric on show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from textual import events
from textual.content import Content
from textual.message import Message

from workbench.runs.matrix_rows import Show
from workbench.sanitize import sanitize_line
from workbench.tui.widgets.plain import Static

SHOWS: tuple[Show, ...] = ("all", "failures", "different", "errors")
_LABELS: dict[Show, str] = {"all": "all", "failures": "failures", "different": "differ", "errors": "errors"}


class Chips(NamedTuple):
    """counts: rows of each filter, of those counted so far. details: what else narrows or orders the rows, in words.

    metric_index: of the metric among the `metrics` of the run.
    """

    shown: Show
    counts: Mapping[Show, int]
    details: str
    metric: str
    metric_index: int
    metrics: int


class MatrixChips(Static):
    """One row; a click on a chip chooses it, one on the metric steps it."""

    class Clicked(Message):
        """A chip was clicked; show is None for the metric."""

        def __init__(self, show: Show | None) -> None:
            super().__init__()
            self.show = show

    def __init__(self) -> None:
        super().__init__(id="matrix-chips")
        self._chips: Chips | None = None
        self._ends: list[tuple[int, Show | None]] = []
        """the cell behind each part that can be clicked, from the left"""

    def show(self, chips: Chips) -> None:
        if chips != self._chips:
            self._chips = chips
            self._draw()

    def on_resize(self) -> None:
        self._draw()

    def on_click(self, event: events.Click) -> None:
        for end, show in self._ends:
            if event.x < end:
                self.post_message(self.Clicked(show))
                return

    def _draw(self) -> None:
        chips, width = self._chips, self.size.width
        if chips is None or width < 20:
            return
        parts: list[tuple[str, str]] = [(" ", "")]
        self._ends, at = [], 1
        for show in SHOWS:
            count = f" {chips.counts[show]:,}" if show in chips.counts else ""
            text = f"{_LABELS[show]}{count}"
            chosen = show == chips.shown
            drawn = f"[{text}] " if chosen else f" {text}  "
            at += cell_len(drawn)
            self._ends.append((at, show))
            parts.append((drawn, "bold $accent" if chosen else _tone(show, chips.counts)))
        metric = _name_metric(chips, width - at)
        details = f" {sanitize_line(chips.details)}" if chips.details else ""
        room = max(width - at - cell_len(metric) - 1, 0)
        if cell_len(details) > room:
            details = set_cell_size(details, max(room - 1, 0)) + "…"
        gap = " " * max(room - cell_len(details), 0)
        self._ends += [(at + cell_len(details + gap), chips.shown), (width, None)]
        self.update(Content.assemble(*parts, (details, "$accent"), gap, (metric, "bold")), layout=False)


def _tone(show: Show, counts: Mapping[Show, int]) -> str:
    return "bold $text-error" if show == "errors" and counts.get(show) else "$foreground 60%"


def _name_metric(chips: Chips, room: int) -> str:
    """`metric ‹exact match› 1/3`, the name cut where there is less room."""
    if not chips.metrics:
        return ""
    step = f" {chips.metric_index + 1}/{chips.metrics}" if chips.metrics > 1 else ""
    name = sanitize_line(chips.metric.replace("_", " "))
    text = f"metric ‹{name}›{step}"
    if cell_len(text) <= room:
        return text
    left = max(room - cell_len(f"‹…›{step}"), 1)
    return f"‹{name if cell_len(name) <= left else set_cell_size(name, left) + '…'}›{step}"
