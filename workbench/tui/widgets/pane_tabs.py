"""PaneTabs: the panes as tabs with their score signs, for a screen too narrow to show them side by side."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static


class PaneTabs(Static):
    """One row, such as ` A ✗  B ✗  C ✓ `; a click chooses."""

    def __init__(self) -> None:
        super().__init__(id="tabs")
        self._shown: tuple[tuple[str, ...], int] | None = None

    def show(self, signs: Sequence[str], chosen: int) -> None:
        """signs: one character a pane, in order."""
        shown = (tuple(signs), chosen)
        if shown == self._shown:
            return
        self._shown = shown
        tabs = [
            Content.from_markup(
                f"[@click=screen.choose({index})][{'reverse bold' if index == chosen else ''}] $letter $sign [/][/] "
                if index == chosen
                else f"[@click=screen.choose({index})] $letter $sign [/] ",
                letter="ABCDEFGH"[index],
                sign=sign,
            )
            for index, sign in enumerate(signs)
        ]
        self.update(Content.assemble(*tabs), layout=False)
