"""PaneTabs: the panes as tabs with their score signs, for a screen too narrow to show them side by side."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.style import Style

from workbench.tui.widgets.plain import Static

_CHOSEN = Style(bold=True, reverse=True)
_FORMS = ((" {letter} {sign} ", " "), (" {letter} {sign}", ""), ("{letter}{sign}", ""), ("{letter}", ""))
"""how a tab may be written, and what stands between two; the first that leaves room for all of them is taken"""


class PaneTabs(Static):
    """One row, such as ` A ✗  B ✗  C ✓ `; a click chooses."""

    def __init__(self) -> None:
        super().__init__(id="tabs")
        self._signs: tuple[str, ...] = ()
        self._chosen = 0

    def show(self, signs: Sequence[str], chosen: int) -> None:
        """signs: one character a pane, in order."""
        if (tuple(signs), chosen) != (self._signs, self._chosen):
            self._signs, self._chosen = tuple(signs), chosen
            self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        self.update(write_tabs(self._signs, self._chosen, self.size.width), layout=False)


def write_tabs(signs: Sequence[str], chosen: int, width: int) -> Content:
    """All tabs in a row of so many cells, the chosen one reversed."""
    for form, gap in _FORMS:
        tabs = [
            Content.assemble((form.format(letter="ABCDEFGH"[index], sign=sign), _style(index, index == chosen)))
            for index, sign in enumerate(signs)
        ]
        row = Content(gap).join(tabs)
        if row.cell_length <= width:
            break
    return row


def _style(index: int, chosen: bool) -> Style:
    click = Style.from_meta({"@click": f"screen.choose({index})"})
    return click + _CHOSEN if chosen else click
