"""CaseView: the current case, each variable in a field of its own, and the expected answer.

Each field can be edited; the session decides what becomes of the edits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message

from workbench.datasets.spec import Dataset
from workbench.tui.widgets.editing import TextArea
from workbench.tui.widgets.plain import Label, plain_line

EXPECTED = "expected"
LONGEST = 20_000
"""characters of a variable that a field shows; to wrap a document of more would stop the screen for seconds"""


class ShownCase(NamedTuple):
    """A case as it is shown. dataset: where its number counts; None where the bench has none."""

    dataset: Dataset | None
    number: int
    title: str
    values: Mapping[str, str]


class CaseField(TextArea):
    """One variable of the case; of a very long one the beginning, which cannot be edited."""

    keeps_letters = True

    def __init__(self, variable: str, text: str) -> None:
        self._whole = text if len(text) > LONGEST else None
        super().__init__(
            _shorten(text),
            read_only=self._whole is not None,
            tab_behavior="focus",
            soft_wrap=True,
            highlight_cursor_line=False,
            compact=True,
            show_line_numbers=False,
        )
        self.variable = variable

    @property
    def value(self) -> str:
        """The variable's text, however much of it is shown."""
        return self.text if self._whole is None else self._whole

    def show(self, text: str) -> None:
        """Take another text; nothing happens where it is the same."""
        if text == self.value:
            return
        self._whole = text if len(text) > LONGEST else None
        self.read_only = self._whole is not None
        self.load_text(_shorten(text))


def _shorten(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}…\n({len(text):,} characters; the first {LONGEST:,} are shown, read-only)"


class CaseView(VerticalScroll, can_focus=False):
    """The fields of one case. They belong to the case they were loaded for, whichever is the current one meanwhile."""

    class CaseEdited(Message):
        """A field was edited; `take_edits` returns what was typed."""

    def __init__(self) -> None:
        super().__init__(id="case")
        self._case: ShownCase | None = None
        self._fields: dict[str, CaseField] = {}
        self._loading = asyncio.Lock()

    def compose(self) -> ComposeResult:
        yield from ()

    async def load(self, read: Callable[[], ShownCase]) -> None:
        """Show the case that `read` gives once the one before is shown; fields are recreated only for other variables.

        What was typed before has to be taken first, see `take_edits`.
        """
        async with self._loading:
            case = read()
            self.border_title = plain_line(case.title)
            if list(case.values) == list(self._fields):
                self._case = case
                for name, text in case.values.items():
                    self._fields[name].show(text)
                return
            self._case, self._fields = None, {}  # nothing typed meanwhile belongs to either case
            await self.remove_children()
            fields = {name: CaseField(name, text) for name, text in case.values.items()}
            rows = [(Label(name, classes="field-name"), field) for name, field in fields.items()]
            await self.mount_all([widget for row in rows for widget in row])
            self._case, self._fields = case, fields

    def read_columns(self) -> dict[str, str]:
        """The variables of the case as they are shown, without the expected answer."""
        return {name: field.value for name, field in self._fields.items() if name != EXPECTED}

    def take_edits(self) -> tuple[ShownCase, dict[str, str]] | None:
        """The case that is shown, with what was typed into its fields since; None where nothing was."""
        case = self._case
        if case is None:
            return None
        edits = {name: field.value for name, field in self._fields.items() if field.value != case.values[name]}
        if not edits:
            return None
        self._case = case._replace(values={**case.values, **edits})
        return case, edits

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        event.stop()
        case, field = self._case, event.text_area
        if case is not None and isinstance(field, CaseField) and case.values.get(field.variable) != field.value:
            self.post_message(self.CaseEdited())
