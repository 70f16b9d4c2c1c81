"""StreamText: text that only grows at its end, as a model writes it.

Drawn line by line with cached strips; an append wraps only the last row again, however many are above it. Model text
is data: it is sanitized, and never parsed as markup.
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal, NamedTuple

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from rich.style import Style
from textual.cache import LRUCache
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from workbench.sanitize import sanitize

_WORD = re.compile(r"\S+\s*|\s+")
_TAB = "    "

Kind = Literal["answer", "thinking", "note"]


class WrappedRow(NamedTuple):
    """One row of the screen: its text, what it is, and whether a line of the text ends with it."""

    text: str
    kind: Kind
    ends_line: bool


class StreamText(ScrollView, can_focus=False):
    """An append-only text. The scrollbar has its column from the beginning: when it appears, no text is under it."""

    DEFAULT_CSS = "StreamText { overflow-x: hidden; overflow-y: auto; scrollbar-gutter: stable; }"
    COMPONENT_CLASSES: ClassVar[set[str]] = {"stream-text--thinking", "stream-text--note"}

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._pieces: list[tuple[str, Kind]] = []
        self._rows: list[WrappedRow] = []
        self._strips: LRUCache[int, Strip] = LRUCache(1024)
        self._styles: dict[Kind, Style] = {}  # asking the stylesheet for each row costs more than drawing it

    @property
    def allow_select(self) -> bool:
        return True

    def append(self, text: str, kind: Kind = "answer") -> None:
        """Add text at the end; the view follows when it stood at the end."""
        if not text:
            return
        text = sanitize(text)
        self._pieces.append((text, kind))
        self._show_from(self._lay(text, kind))

    def clear(self) -> None:
        self._pieces.clear()
        self._rows.clear()
        self._strips.clear()
        self._set_height(0)
        self.anchor()
        self.refresh()

    @property
    def text(self) -> str:
        """All of the text, sanitized."""
        return "".join(text for text, _ in self._pieces)

    def _lay(self, text: str, kind: Kind) -> int:
        """Lay text into rows; the index of the first row that changed."""
        rows = self._rows
        first = len(rows)
        if rows and not rows[-1].ends_line and rows[-1].kind == kind:
            text = rows.pop().text + text
            first -= 1
        width = max(self.scrollable_content_region.width, 1)
        *complete, rest = text.split("\n")
        for line in complete:
            *wrapped, last = wrap_line(line, width)
            rows.extend(WrappedRow(part, kind, False) for part in wrapped)
            rows.append(WrappedRow(last, kind, True))
        if rest:
            rows.extend(WrappedRow(part, kind, False) for part in wrap_line(rest, width))
        return first

    def _lay_all(self) -> None:
        """Wrap everything again, for another width."""
        self._rows.clear()
        self._strips.clear()
        for text, kind in self._pieces:
            self._lay(text, kind)
        self._set_height(len(self._rows))

    def _set_height(self, rows: int) -> None:
        """The screen is laid out again only where the scrollbar appears or goes."""
        region = self.scrollable_content_region
        size = Size(region.width, rows)
        if (rows > region.height) == self.show_vertical_scrollbar:
            self.set_reactive(ScrollView.virtual_size, size)
        else:
            self.virtual_size = size

    def _show_from(self, first: int) -> None:
        for row in range(first, len(self._rows) + 1):
            self._strips.discard(row)
        if self.virtual_size.height == len(self._rows):
            self.refresh_lines(first, len(self._rows) - first)
        else:
            self._grow()

    def _grow(self) -> None:
        """Make room for more rows; the whole screen is laid out anew only when the scrollbar first appears."""
        size = Size(self.scrollable_content_region.width, len(self._rows))
        fits = size.height <= self.scrollable_content_region.height
        if not fits and not self.show_vertical_scrollbar:
            self.virtual_size = size
            return
        follow = self.is_vertical_scroll_end
        self.set_reactive(ScrollView.virtual_size, size)
        if not fits:
            self.vertical_scrollbar.window_virtual_size = size.height
        if follow:
            self.scroll_end(animate=False, immediate=True, x_axis=False)
        self.refresh()

    def on_mount(self) -> None:
        self.anchor()  # follow the end until a person scrolls up

    def on_resize(self) -> None:
        self._pieces = [("".join(text for text, _ in group), kind) for kind, group in _join(self._pieces)]
        self._lay_all()
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips.clear()
        self._styles.clear()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        return selection.extract("\n".join(row.text for row in self._rows)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        self._strips.clear()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        index = self.scroll_offset.y + y
        width = self.size.width
        if index >= len(self._rows):
            return Strip.blank(width, self._style_of("answer"))
        strip = self._strips.get(index)
        if strip is None or self.text_selection is not None:
            strip = self._draw(self._rows[index], index)
            self._strips[index] = strip
        return strip.crop_extend(0, width, self._style_of("answer")).apply_offsets(0, index)

    def _draw(self, row: WrappedRow, index: int) -> Strip:
        style = self._style_of(row.kind)
        selection = self.text_selection
        span = selection.get_span(index) if selection is not None else None
        if span is None:
            return Strip([Segment(row.text, style)])
        start, end = span
        end = len(row.text) if end == -1 else end
        marked = style + self.screen.get_component_rich_style("screen--selection")
        return Strip(
            [
                Segment(row.text[:start], style),
                Segment(row.text[start:end], marked),
                Segment(row.text[end:], style),
            ]
        )

    def _style_of(self, kind: Kind) -> Style:
        if kind not in self._styles:
            named = kind != "answer"
            self._styles[kind] = self.get_component_rich_style(f"stream-text--{kind}") if named else self.rich_style
        return self._styles[kind]


def _join(pieces: list[tuple[str, Kind]]) -> list[tuple[Kind, list[tuple[str, Kind]]]]:
    """Neighbouring pieces of one kind, together, so that many small pieces do not pile up."""
    groups: list[tuple[Kind, list[tuple[str, Kind]]]] = []
    for piece in pieces:
        if groups and groups[-1][0] == piece[1]:
            groups[-1][1].append(piece)
        else:
            groups.append((piece[1], [piece]))
    return groups


def wrap_line(line: str, width: int) -> list[str]:
    """The rows a line takes at `width` cells (at least 2); an empty line is one empty row.

    Spaces stay at the end of the row they follow, even beyond the width (they are cut off when drawn), so that
    wrapping the last row again after an append gives what wrapping the whole line would.
    """
    line = line.replace("\t", _TAB)
    width = max(width, 2)  # a wide character needs two
    if cell_len(line) <= width:
        return [line]
    rows = [""]
    used = 0
    for word in _WORD.findall(line):
        letters = word.rstrip()
        if used and used + cell_len(letters) > width:
            rows.append("")
            used = 0
        if cell_len(letters) > width:
            *full, last = chop_cells(letters, width)
            rows[-1:] = [*full, ""]
            word = last + word[len(letters) :]
        rows[-1] += word
        used += cell_len(word)
    return rows
