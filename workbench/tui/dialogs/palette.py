"""Palette: every action by name, with its group and key; what was used last is on top. Dismissed with a Picked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual.content import Content

from workbench.sanitize import sanitize
from workbench.tui.widgets.picker import Picker, PickerRow

_WIDTH, _GROUP, _KEY = 104, 10, 8
_FRAME = 12  # cells that border, padding and scroll bar take


class PaletteEntry(NamedTuple):
    """An action as a row."""

    id: str
    group: str
    title: str
    help: str = ""
    key: str = ""


class Palette(Picker):
    """Typing narrows it; an action whose title has the words comes before one whose help has them."""

    def __init__(self, entries: Sequence[PaletteEntry], recent: Sequence[str]) -> None:
        """recent: ids of actions, the last one first."""
        last = {id: index for index, id in enumerate(recent)}
        ordered = sorted(entries, key=lambda entry: last.get(entry.id, len(last)))
        self._width = 0  # of the screen that the rows are drawn for
        self._entries = {entry.id: entry for entry in ordered}
        rows = [PickerRow(entry.id, entry.title, f"{entry.help} {entry.group}") for entry in ordered]
        super().__init__("Actions", rows, "No actions here.")

    def on_resize(self) -> None:
        if self.is_mounted and self.app.size.width != self._width:
            self.refill()

    def find(self, words: Sequence[str]) -> list[PickerRow]:
        found = super().find(words)
        return sorted(found, key=lambda row: not all(word in row.title.lower() for word in words))

    def write_row(self, choice: PickerRow) -> Content:
        entry = self._entries[choice.id]
        self._width = self.app.size.width
        width = min(_WIDTH, self._width * 96 // 100) - _FRAME - _GROUP - _KEY
        words = Content.assemble(sanitize(entry.title), (f"  {sanitize(entry.help)}", "$foreground 60%"))
        return Content.assemble(
            (f"{entry.group:<{_GROUP}}", "$foreground 60%"),
            words.truncate(width, ellipsis=True, pad=True),
            (f"{entry.key:>{_KEY}}", "$accent"),
        )
