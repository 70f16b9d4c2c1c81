"""Help: what the screen is for, and its keys in words, filtered by what is typed. Dismissed with nothing to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual import getters
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from workbench.sanitize import sanitize
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.picker import Picker, PickerRow
from workbench.tui.widgets.plain import Label, OptionList, Static

_TALL = 30
"""rows of a screen with room for what it is about above its keys"""
_FRAME = 35  # cells that group, keys, border, padding and scroll bar take


class KeyRow(NamedTuple):
    """One binding as help shows it."""

    keys: str
    words: str
    id: str
    group: str


class Help(Picker):
    """A list of keys; under it the id by which the settings change the highlighted one."""

    footnote = getters.query_one("#keys-id", Label)

    def __init__(self, about: str, rows: Sequence[KeyRow], settings: str) -> None:
        """settings: the path of the file in which keys can be changed."""
        self._rows = {row.id: row for row in rows}
        self._about, self._settings = about, settings
        self._width = 0  # of the screen that the rows are drawn for
        found = [PickerRow(row.id, row.words, f"{row.group} {row.keys}") for row in self._rows.values()]
        super().__init__("Keys", found, "No keys here.")

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -whole") as dialog:
            dialog.border_title = "Keys"
            if self._about and self.app.size.height >= _TALL:
                yield Static(self._about.strip(), id="keys-about")
            yield Input(placeholder="type to search", compact=True)
            yield OptionList()
            yield Label(id="keys-id", classes="muted")
            yield Label("up/down move   esc close", classes="muted")

    def write_row(self, choice: PickerRow) -> Content:
        row = self._rows[choice.id]
        self._width = self.app.size.width
        words = Content(sanitize(row.words)).truncate(max(self._width * 96 // 100 - _FRAME, 10), ellipsis=True)
        return Content.assemble((f"{row.group:<14}", "$foreground 60%"), (f"{row.keys:<12}", "$accent"), " ", words)

    def on_resize(self) -> None:
        if self.is_mounted and self.app.size.width != self._width:
            self.refill()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if event.option.id:
            self.footnote.update(f'[keymap] "{event.option.id}" = "…" in {self._settings} changes this key')
