"""PackedLine: short facts one after another, in as few rows as they need; none is cut but one wider than a row."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from workbench.tui.figures import cut_points
from workbench.tui.widgets.plain import Static

_GAP = Content.assemble((" · ", "$foreground 40%"))
_SPACES = Content("   ")


class PackedLine(Static):
    """One row, more where that is too narrow. It never shrinks while its facts come and go, so that nothing jumps, and
    the screen is laid out again only when it grows."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._parts: tuple[Content, ...] = ()
        self._rows = 1

    def show(self, parts: Sequence[Content], shrink: bool = False) -> None:
        """Show these, the empty ones left out. shrink: give up rows that they do not need."""
        shown = tuple(part for part in parts if part.plain)
        if shown != self._parts or shrink:
            self._parts = shown
            self._draw(shrink)

    def on_resize(self) -> None:
        self._draw(shrink=True)

    def _draw(self, shrink: bool) -> None:
        rows = pack_parts(self._parts, self.size.width)
        before, self._rows = self._rows, len(rows) if shrink else max(len(rows), self._rows)
        rows += [Content("")] * (self._rows - len(rows))
        self.update(Content("\n").join(rows), layout=self._rows != before)


class KeyHints(Static):
    """The keys of a dialog, in as many rows as they need: a key never ends a row without its word."""

    def __init__(self, *hints: str) -> None:
        super().__init__(classes="muted")
        self._hints = tuple(map(Content, hints))

    def on_resize(self) -> None:
        self.update(Content("\n").join(pack_parts(self._hints, self.size.width, _SPACES)))


def pack_parts(parts: Sequence[Content], width: int, gap: Content = _GAP) -> list[Content]:
    """The rows that parts take at a width in cells, with a gap between two; at least one row.

    A part that is wider than a row keeps its beginning and its end. width: 0 is not known yet: one row.
    """
    rows: list[Content] = []
    for part in parts:
        if width and part.cell_length > width:
            head, tail = cut_points(part.plain, width)
            part = Content.assemble(part[:head], "…", part[len(part) - tail :])
        if rows and (not width or rows[-1].cell_length + gap.cell_length + part.cell_length <= width):
            rows[-1] = Content.assemble(rows[-1], gap, part)
        else:
            rows.append(part)
    return rows or [Content("")]
