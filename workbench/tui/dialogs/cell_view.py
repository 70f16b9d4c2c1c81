"""CellView: one cell of a run full screen; arrows move to its neighbours. Dismissed with what to do with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal, NamedTuple

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content

from workbench.tui.widgets.dialog import Dialog, is_open
from workbench.tui.widgets.packed_line import KeyHints
from workbench.tui.widgets.plain import Static, plain_line

CellCommand = Literal["again", "pane", "expect", "copy"]


class CellPage(NamedTuple):
    """The page of one cell, and which it is: rows move while a run is under way."""

    title: str
    text: Content
    case: int
    variant: str


class CellRequest(NamedTuple):
    """What to do with the cell on show. row, column: its position in the table."""

    command: CellCommand
    case: int
    variant: str
    row: int
    column: int


class CellView(Dialog[CellRequest | None]):
    """Reads cells one at a time, each on a thread: a slow disk never holds up the keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss(None)", "close", id="cell.leave"),
        Binding("right,l", "step(0, 1)", "next variant", id="cell.right", priority=True),
        Binding("left,h", "step(0, -1)", "previous variant", id="cell.left", priority=True),
        Binding("n,j", "step(1, 0)", "next case", id="cell.next"),
        Binding("b,k", "step(-1, 0)", "previous case", id="cell.previous"),
        Binding("r", "command('again')", "re-run", id="cell.again", tooltip="Send this cell's request again"),
        Binding(
            "o", "command('pane')", "open on the bench", id="cell.pane", tooltip="Open the cell as a pane on the bench"
        ),
        Binding(
            "e", "command('expect')", "set as expected", id="cell.expect", tooltip="Set the answer as the expected one"
        ),
        Binding("y", "command('copy')", "copy", id="cell.copy", tooltip="Copy the answer"),
    ]

    def __init__(self, read: Callable[[int, int], CellPage], row: int, column: int, rows: int, columns: int) -> None:
        """read: the page of a cell; may be slow. rows and columns: how many there are to walk over."""
        super().__init__()
        self._read, self._rows, self._columns = read, rows, columns
        self.row, self.column = row, column
        self._page: CellPage | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -whole"):
            with VerticalScroll():
                yield Static(id="cell-text")
            yield KeyHints(
                "left/right variant", "n/b case", "r re-run", "o open", "e set expected", "y copy", "esc close"
            )

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self._load(self.row, self.column)

    def action_step(self, rows: int, columns: int) -> None:
        self.row = max(0, min(self.row + rows, self._rows - 1))
        self.column = (self.column + columns) % self._columns
        self._page = None
        self._load(self.row, self.column)

    def action_command(self, command: CellCommand) -> None:
        if self._page is not None:
            self.dismiss(CellRequest(command, self._page.case, self._page.variant, self.row, self.column))

    @work(thread=True, group="cell", exclusive=True)
    def _load(self, row: int, column: int) -> None:
        page = self._read(row, column)
        self.app.call_from_thread(self._show, row, column, page)

    def _show(self, row: int, column: int, page: CellPage) -> None:
        if is_open(self) and (row, column) == (self.row, self.column):
            self._page = page
            self.query_one(".dialog").border_title = plain_line(page.title)
            self.query_one("#cell-text", Static).update(page.text)
            self.query_one(VerticalScroll).scroll_home(animate=False)
