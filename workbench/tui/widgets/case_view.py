"""CaseView: the current case, each variable in a field of its own, and the expected answer.

A person may type over any of it; what becomes of that is the session's to decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message

from workbench.tui.widgets.editing import TextArea
from workbench.tui.widgets.plain import Label, plain_line

EXPECTED = "expected"


class CaseField(TextArea):
    """One variable of the case."""

    def __init__(self, variable: str, text: str) -> None:
        super().__init__(
            text,
            tab_behavior="focus",
            soft_wrap=True,
            highlight_cursor_line=False,
            compact=True,
            show_line_numbers=False,
        )
        self.variable = variable


class CaseView(VerticalScroll, can_focus=False):
    """The fields of one case."""

    @dataclass
    class Edited(Message):
        """A person typed into a field."""

        variable: str
        text: str

    def __init__(self) -> None:
        super().__init__(id="case")
        self._shown: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        yield from ()

    async def load(self, title: str, variables: Mapping[str, str], expected: str | None) -> None:
        """Show a case; fields are made anew only when the names of the variables changed."""
        self.border_title = plain_line(title)
        values = {**variables, EXPECTED: expected or ""}
        if list(values) != list(self._shown):
            await self.remove_children()
            for name, text in values.items():
                await self.mount(Label(name, classes="field-name"), CaseField(name, text))
        else:
            for field in self.query(CaseField):
                if field.text != values[field.variable]:
                    field.load_text(values[field.variable])
        self._shown = values

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        event.stop()
        field = event.text_area
        if isinstance(field, CaseField) and self._shown.get(field.variable) != field.text:
            self._shown[field.variable] = field.text
            self.post_message(self.Edited(field.variable, field.text))
