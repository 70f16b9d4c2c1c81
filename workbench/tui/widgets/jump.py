"""Jump: a letter on every field, pane and example; typing it moves the cursor there."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.geometry import Offset, Region
from textual.screen import Screen
from textual.widget import Widget

from workbench.tui.widgets.dialog import Dialog, is_open
from workbench.tui.widgets.example_list import ExampleList
from workbench.tui.widgets.plain import Label

_LETTERS = "asdfghjklqwertyuiopzxcvbnm" + "ASDFGHJKLQWERTYUIOPZXCVBNM"
"""those under the fingers first"""


class JumpTarget(NamedTuple):
    """A place for the cursor, and where on the screen its letter stands. row: of a list."""

    widget: Widget
    offset: Offset
    row: int | None = None

    def focus(self) -> None:
        """Move the cursor there."""
        if not self.widget.is_attached:
            return
        self.widget.focus()
        if self.row is not None and isinstance(self.widget, ExampleList) and self.row < self.widget.option_count:
            self.widget.highlighted = self.row


def find_targets(screen: Screen[object]) -> list[JumpTarget]:
    """What can have the cursor and is in view, from the top to the bottom of each column."""
    found: list[JumpTarget] = []
    for widget in screen.focus_chain:
        view = _find_view(screen, widget)
        if not view:
            continue
        rows = widget.find_rows(view) if isinstance(widget, ExampleList) else []
        found += [JumpTarget(widget, offset, row) for row, offset in rows] or [JumpTarget(widget, view.offset)]
    return found[: len(_LETTERS)]


def _find_view(screen: Screen[object], widget: Widget) -> Region:
    try:
        return screen.find_widget(widget).visible_region
    except NoMatches:
        return Region()


class JumpView(Dialog[JumpTarget | None]):
    """Lies over the screen. Dismissed with the place whose letter was typed, or with None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "leave", id="jump.leave", tooltip="Leave jump mode", priority=True),
    ]

    def __init__(self, targets: list[JumpTarget]) -> None:
        super().__init__()
        self._targets = dict(zip(_LETTERS, targets, strict=False))
        self._size = self.app.size

    def compose(self) -> ComposeResult:
        for letter, target in self._targets.items():
            label = Label(f" {letter} ", classes="jump-letter")
            label.styles.offset = target.offset
            yield label

    def on_key(self, event: events.Key) -> None:
        """A letter goes to its place; any other key does nothing."""
        event.stop()
        target = self._targets.get(event.character or "")
        if target is not None and is_open(self):
            self.dismiss(target)

    def on_resize(self) -> None:
        """The letters would stand elsewhere than what they mean."""
        if self.app.size != self._size and is_open(self):
            self.dismiss(None)
