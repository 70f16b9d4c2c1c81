"""Help: what the screen is for, and every key with its binding id. Dismissed with nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content

from workbench.tui.widgets.dialog import Dialog
from workbench.tui.widgets.plain import Label, Static


class KeyRow(NamedTuple):
    """One binding as help shows it."""

    keys: str
    description: str
    id: str


class Help(Dialog[None]):
    """A scrolling page."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,q", "dismiss(None)", "leave", id="help.leave")]

    def __init__(self, text: str, groups: Sequence[tuple[str, Sequence[KeyRow]]], settings: str) -> None:
        """settings: the path of the file in which keys can be changed."""
        super().__init__()
        self._text, self._groups, self._settings = text, groups, settings

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -whole") as dialog:
            dialog.border_title = "Help"
            with VerticalScroll():
                yield Static(self._page())
            yield Label("up/down scroll   esc leave", classes="muted")

    def _page(self) -> Content:
        parts: list[str | tuple[str, str]] = [self._text, "\n"]
        for title, rows in self._groups:
            parts.append((f"\n{title}\n", "bold $primary"))
            for row in rows:
                parts += [
                    (f"  {row.keys:<16}", "$accent"),
                    f"{row.description:<34}",
                    (f"{row.id}\n", "$foreground 60%"),
                ]
        parts += [
            "\nThe last column is a key's id. To move it, write into ",
            (self._settings, "$accent"),
            '\n\n  [keymap]\n  "bench.run" = "f5"\n',
        ]
        return Content.assemble(*parts)
