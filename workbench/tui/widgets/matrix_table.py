"""MatrixTable: cases down, variants across, a sign and the beginning of the answer in each cell.

Draws only the visible lines, whatever the number of rows; they come from a callback. What it shows is never markup.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Literal, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from workbench.sanitize import sanitize

Tone = Literal["good", "bad", "part", "error", "wait", "plain"]

NARROWEST = 12
"""cells of a variant's column, the gap before it included; more variants than fit are walked through"""
COMFORTABLE = 18
"""cells of a variant's column that leave room for what was asked"""
_NUMBER = 7
_EXPECTED = 14
_LONGEST_PREVIEW = 44


class CellMark(NamedTuple):
    """One cell: a sign, the beginning of what was answered, and how it is to look."""

    sign: str
    text: str
    tone: Tone


class MatrixLine(NamedTuple):
    """One case. preview: the beginning of what was asked."""

    number: int
    preview: str
    expected: str
    marks: tuple[CellMark, ...]


class ColumnLayout(NamedTuple):
    """How the width is shared out. first and shown: which variants are on show."""

    preview: int
    expected: int
    cell: int
    first: int
    shown: int


def share_width(width: int, variants: int, at: int) -> ColumnLayout:
    """Room for the number, the expected answer and as many variants as fit, the one at `at` among them."""
    expected = min(_EXPECTED, max(8, width // 8))
    room = max(width - _NUMBER - expected, NARROWEST)
    shown = max(1, min(variants, room // NARROWEST))
    cell = room // shown
    preview = 0
    if shown == variants and cell > COMFORTABLE:
        preview = min(_LONGEST_PREVIEW, (cell - COMFORTABLE) * shown, room // 2)
        cell = (room - preview) // shown
    first = min(max(0, at - shown + 1), variants - shown)
    return ColumnLayout(preview, expected, cell, first, shown)


class MatrixTable(ScrollView, can_focus=True):
    """A cursor walks over the cells; enter opens one."""

    DEFAULT_CSS = "MatrixTable { overflow-x: hidden; overflow-y: scroll; }"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "matrix--head", "matrix--muted", "matrix--row", "matrix--cursor",
        "matrix--good", "matrix--bad", "matrix--part", "matrix--error", "matrix--wait", "matrix--plain",
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1, 0)", "case above", show=False, id="matrix.up"),
        Binding("down,j", "move(1, 0)", "case below", show=False, id="matrix.down"),
        Binding("left,h", "move(0, -1)", "previous variant", show=False, id="matrix.left"),
        Binding("right,l", "move(0, 1)", "next variant", show=False, id="matrix.right"),
        Binding("pageup", "page(-1)", "a page up", show=False, id="matrix.page_up"),
        Binding("pagedown", "page(1)", "a page down", show=False, id="matrix.page_down"),
        Binding("home,g", "jump(0)", "first case", show=False, id="matrix.first"),
        Binding("end,G", "jump(-1)", "last case", show=False, id="matrix.last"),
        Binding("enter", "open", "open", id="matrix.open", tooltip="Open the cell"),
    ]
    row: reactive[int] = reactive(0, repaint=True)
    column: reactive[int] = reactive(0, repaint=True)

    class CellOpened(Message):
        """A cell was opened."""

        def __init__(self, row: int, column: int) -> None:
            super().__init__()
            self.row, self.column = row, column

    class Moved(Message):
        """The cursor moved."""

    def __init__(self, line_at: Callable[[int], MatrixLine | None], id: str | None = None) -> None:
        """line_at: the line at an index, None while it is not known yet."""
        super().__init__(id=id)
        self._line_at = line_at
        self._names: tuple[str, ...] = ()
        self._count = 0
        self._styles: dict[str, Style] = {}

    def show(self, names: Sequence[str], count: int) -> None:
        """Show `count` lines under these column names."""
        self._names, self._count = tuple(names), count
        self.virtual_size = Size(self.size.width, count + 1)
        self.row = max(0, min(self.row, count - 1))
        self.column = max(0, min(self.column, len(self._names) - 1))
        self.refresh()

    @property
    def count(self) -> int:
        return self._count

    @property
    def columns(self) -> ColumnLayout:
        """The columns as they are drawn now."""
        return share_width(self.scrollable_content_region.width, max(1, len(self._names)), self.column)

    @property
    def line(self) -> MatrixLine | None:
        """The line under the cursor."""
        return self._line_at(self.row) if self._count else None

    # --- moving --------------------------------------------------------------------------------------------------

    @property
    def _page(self) -> int:
        return max(1, self.size.height - 1)

    def action_move(self, rows: int, columns: int) -> None:
        self._go(self.row + rows, self.column + columns)

    def action_page(self, pages: int) -> None:
        self._go(self.row + pages * (self._page - 1), self.column)

    def action_jump(self, row: int) -> None:
        self._go(self._count - 1 if row < 0 else row, self.column)

    def action_open(self) -> None:
        if self._count:
            self.post_message(self.CellOpened(self.row, self.column))

    def go_to(self, row: int, column: int) -> None:
        """Put the cursor on a cell and bring it into view."""
        self._go(row, column)

    def _go(self, row: int, column: int) -> None:
        self.row = max(0, min(row, self._count - 1))
        self.column = max(0, min(column, len(self._names) - 1))
        top = int(self.scroll_offset.y)
        if self.row < top:
            self.scroll_to(y=self.row, animate=False, immediate=True)
        elif self.row > top + self._page - 1:
            self.scroll_to(y=self.row - self._page + 1, animate=False, immediate=True)
        self.post_message(self.Moved())

    def on_click(self, event: events.Click) -> None:
        columns = self.columns
        row = int(self.scroll_offset.y) + event.y - 1
        at = event.x - _NUMBER - columns.preview - columns.expected
        if event.y < 1 or row >= self._count:
            return
        column = columns.first + min(max(at, 0) // columns.cell, columns.shown - 1)
        same = (row, column) == (self.row, self.column)
        self._go(row, column)
        if same or event.chain > 1:
            self.action_open()

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, self._count + 1)

    # --- drawing -------------------------------------------------------------------------------------------------

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        columns = self.columns
        if y == 0:
            return self._draw_head(columns).extend_cell_length(width, self._style("head"))
        index = int(self.scroll_offset.y) + y - 1
        if index >= self._count:
            return Strip.blank(width, self.rich_style)
        line = self._line_at(index)
        if line is None:
            return Strip([Segment(f"{'':>{_NUMBER - 2}}  …", self._style("muted"))]).extend_cell_length(width)
        return self._draw_line(line, columns, index == self.row).extend_cell_length(width, self._ground(index))

    def _draw_head(self, columns: ColumnLayout) -> Strip:
        names = self._names[columns.first : columns.first + columns.shown]
        left = "‹" if columns.first else ""
        right = "›" if columns.first + columns.shown < len(self._names) else ""
        before = (("asked", columns.preview), ("expected", columns.expected))
        parts = [f"{'case':>{_NUMBER - 2}}  ", *(fit_cells(head, width) for head, width in before)]
        parts += [fit_cells(f"{left if index == 0 else ''}{name}", columns.cell) for index, name in enumerate(names)]
        parts[-1] += right
        return Strip([Segment("".join(parts), self._style("head"))])

    def _draw_line(self, line: MatrixLine, columns: ColumnLayout, current: bool) -> Strip:
        ground = self._style("row") if current else self.rich_style
        muted = ground + Style(color=self._style("muted").color)
        segments = [
            Segment(f"{line.number:>{_NUMBER - 2}}  ", muted),
            Segment(fit_cells(line.preview, columns.preview), muted),
            Segment(fit_cells(line.expected, columns.expected), ground),
        ]
        for index in range(columns.first, columns.first + columns.shown):
            mark = line.marks[index] if index < len(line.marks) else CellMark("·", "", "wait")
            here = current and index == self.column
            style = self._style("cursor") if here else ground
            sign = style + Style(color=self._style(mark.tone).color, bold=mark.tone in ("good", "bad", "error"))
            segments += [Segment(f"{mark.sign} ", sign), Segment(fit_cells(mark.text, columns.cell - 2), style)]
        return Strip(segments)

    def _ground(self, index: int) -> Style:
        return self._style("row") if index == self.row else self.rich_style

    def _style(self, name: str) -> Style:
        if name not in self._styles:
            self._styles[name] = self.get_component_rich_style(f"matrix--{name}")
        return self._styles[name]


def fit_cells(text: str, width: int) -> str:
    """A text in one line of exactly `width` cells, one of them a gap; one that is cut ends in an ellipsis."""
    if width <= 1:
        return " " * max(width, 0)
    flat = sanitize(text).replace("\n", "␤").replace("\t", " ")
    if cell_len(flat) > width - 1:
        flat = set_cell_size(flat, max(width - 2, 0)).rstrip() + "…"
    return set_cell_size(flat, width)
