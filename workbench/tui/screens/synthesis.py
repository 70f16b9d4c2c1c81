"""SynthesisScreen: rows that a model wrote, accepted, edited or rejected one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll

from workbench.errors import WorkbenchError
from workbench.prompting.prompt import Example
from workbench.synthesis.records import Decision
from workbench.synthesis.review import RowReview
from workbench.synthesis.review_state import ReviewRow
from workbench.tui.dialogs.example_editor import ExampleEditor
from workbench.tui.keys import KeyedScreen
from workbench.tui.screen_ui import ScreenUi
from workbench.tui.synthesis_text import show_review_title, show_row, show_row_line
from workbench.tui.widgets.dialog import is_open
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.plain import Option, OptionList, Static


class SynthesisScreen(KeyedScreen[None]):
    """Every decision is on the disk before the next row is shown."""

    HELP_TEXT: ClassVar[str] = """\
Rows that a model wrote for the dataset, after those were dropped that repeat others. Accepted ones are in the file of
rows at once, marked `origin: synthetic`, for training; no evaluation counts them unless its dataset says so. Leaving,
or a crash, loses nothing: the review goes on where it was left.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back", id="synthesis.back"),
        Binding("a", "decide('accept')", "accept", id="synthesis.accept", tooltip="Accept the row"),
        Binding("e,enter", "edit", "edit", id="synthesis.edit", tooltip="Edit the row", priority=True),
        Binding("r", "decide('reject')", "reject", id="synthesis.reject", tooltip="Reject the row"),
        Binding("u", "undo", "undo", id="synthesis.undo", tooltip="Undo the last decision"),
        Binding("n", "next_undecided", "next to review", id="synthesis.next", tooltip="Next row to review"),
    ]

    def __init__(self, open_review: Callable[[], RowReview]) -> None:
        """open_review: is called on a thread; the screen closes what it returns."""
        super().__init__(id="synthesis")
        self._open_review = open_review
        self.ui = ScreenUi(self)
        self.review: RowReview | None = None
        self.list = OptionList(id="synthesis-list")
        self._undone: list[tuple[int, Decision]] = []
        self._writing = asyncio.Lock()

    def compose(self) -> ComposeResult:
        yield Static(id="synthesis-title")
        with Horizontal(id="synthesis-body"):
            yield self.list
            with VerticalScroll(id="synthesis-details"):
                yield Static("Opening…", id="synthesis-text")
        yield KeyFooter()

    def on_mount(self) -> None:
        self.list.focus()
        self._open()

    @work(group="synthesis")
    async def _open(self) -> None:
        try:
            review = await asyncio.to_thread(self._open_review)
        except WorkbenchError as error:
            self.ui.show_error(error)
            if is_open(self):
                self.dismiss(None)
            return
        if not is_open(self):
            review.close()
            return
        self.review = review
        self._fill()
        self.action_next_undecided()

    def on_unmount(self) -> None:
        if self.review is not None:
            self.review.close()

    @property
    def rows(self) -> list[ReviewRow]:
        return list(self.review.state.rows) if self.review is not None else []

    @property
    def selected(self) -> ReviewRow | None:
        """The row under the cursor."""
        index, rows = self.list.highlighted, self.rows
        return rows[index] if index is not None and index < len(rows) else None

    def _fill(self) -> None:
        at = self.list.highlighted
        self.list.set_options([Option(show_row_line(row), id=str(row.call)) for row in self.rows])
        if self.rows:
            self.list.highlighted = min(at or 0, len(self.rows) - 1)
        self._show()

    @on(OptionList.OptionHighlighted)
    def _walked(self) -> None:
        self._show()

    def _show(self) -> None:
        if self.review is None or not is_open(self):
            return
        title = show_review_title(self.review.state, self.review.out.name)
        self.query_one("#synthesis-title", Static).update(title)
        row = self.selected
        text = show_row(row) if row is not None else "No row passed the checks."
        self.query_one("#synthesis-text", Static).update(text)
        self.refresh_bindings()

    # --- keys ----------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing now are not in the footer."""
        if action in ("decide", "edit"):
            return self.selected is not None
        if action == "undo":
            return bool(self._undone)
        if action == "next_undecided":
            return any(row.decision == "undecided" for row in self.rows)
        return True

    def action_decide(self, decision: Decision) -> None:
        """Accept or reject the row under the cursor, and go to the next one to review."""
        review, row = self.review, self.selected
        if review is not None and row is not None:
            self._undone.append((row.call, row.decision))
            self.ui.start(self._write(lambda: review.decide(row.call, decision)))

    def action_undo(self) -> None:
        """Take the last decision back; an edited text stays."""
        review = self.review
        if review is not None and self._undone:
            call, before = self._undone.pop()
            self.ui.start(self._write(lambda: review.decide(call, before), call))

    def action_edit(self) -> None:
        """Change the row; that accepts it."""
        if self.selected is not None:
            self.ui.start(self._edit(self.selected))

    def action_next_undecided(self) -> None:
        """The next row to review after the cursor, or the first one."""
        at = self.list.highlighted or 0
        waiting = [index for index, row in enumerate(self.rows) if row.decision == "undecided"]
        if waiting:
            self.list.highlighted = next((index for index in waiting if index >= at), waiting[0])

    async def _edit(self, row: ReviewRow) -> None:
        review = self.review
        assert review is not None
        held = row.unfinished or row

        def keep(typed: Example) -> None:
            if not review.closed:  # the app may be ending
                review.keep_unfinished(row.call, dict(typed.variables), _answer(row, typed))

        example = Example(str(row.call + 1), dict(held.variables), held.expected or "")
        made = await self.ui.push(ExampleEditor(example, (), keep))
        if made is None:
            self._fill()
            return
        self._undone.append((row.call, row.decision))
        await self._write(lambda: review.edit(row.call, dict(made.variables), _answer(row, made)))

    async def _write(self, change: Callable[[], None], back_to: int | None = None) -> None:
        async with self._writing:
            await asyncio.to_thread(change)
        self._fill()
        if back_to is not None:
            calls = [row.call for row in self.rows]
            self.list.highlighted = calls.index(back_to)
        else:
            self.action_next_undecided()


def _answer(row: ReviewRow, typed: Example) -> str | None:
    """The expected answer as typed; None where rows have none."""
    return typed.answer if row.expected is not None or typed.answer else None
