"""ConfusionView: which answer was given for which expected one, a variant at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import set_cell_size
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import ScrollableContainer, Vertical
from textual.content import Content

from workbench.analysis.summary import Confusion
from workbench.sanitize import sanitize
from workbench.tui.widgets.dialog import Dialog
from workbench.tui.widgets.plain import Label, Static, plain_line

_LONGEST = 14
_OTHER = "other"


class ConfusionView(Dialog[None]):
    """Left and right turn to the next variant."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,t", "dismiss(None)", "close", id="confusion.leave"),
        Binding("right,tab,n", "step(1)", "next variant", id="confusion.next", priority=True),
        Binding("left,shift+tab", "step(-1)", "previous variant", id="confusion.previous", priority=True),
    ]

    def __init__(self, tables: Sequence[Confusion], at: int = 0) -> None:
        super().__init__()
        self._tables, self._at = tuple(tables), at

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -whole"):
            with ScrollableContainer():
                yield Static(id="confusion-text", expand=True)
            yield Label("rows: expected, columns: given   left/right variant   esc close", classes="muted")

    def on_mount(self) -> None:
        self._draw()

    def action_step(self, step: int) -> None:
        self._at = (self._at + step) % len(self._tables)
        self._draw()

    def _draw(self) -> None:
        table = self._tables[self._at]
        self.query_one(".dialog").border_title = plain_line(f"{table.variant}: expected against given")
        self.query_one("#confusion-text", Static).update(draw_confusion(table))


def draw_confusion(table: Confusion) -> Content:
    """The counts under the labels, with the diagonal in another colour."""
    labels = [*table.labels, _OTHER]
    width = max(5, min(_LONGEST, max(len(label) for label in labels)) + 1)
    parts: list[str | tuple[str, str]] = [(_fit("", width), "$foreground 60%")]
    parts += [(_fit(label, width), "$foreground 60%") for label in labels]
    parts.append(("  recall", "$foreground 60%"))
    for row, (label, counts) in enumerate(zip(table.labels, table.counts, strict=True)):
        parts += ["\n", (_fit(label, width), "$foreground 60%")]
        for column, count in enumerate(counts):
            style = "bold $text-success" if row == column else "$text-error" if count else "$foreground 30%"
            parts.append((_fit(f"{count}" if count else "·", width), style))
        right = counts[row] / sum(counts) if sum(counts) else 0.0
        parts.append((f"  {right:.0%}", "$foreground 60%"))
    return Content.assemble(*parts)


def _fit(text: str, width: int) -> str:
    return set_cell_size(sanitize(text), width - 1) + " "
