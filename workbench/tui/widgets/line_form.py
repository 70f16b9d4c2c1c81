"""LineForm: a form of one-line fields in sections, with help for the focused one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll

from workbench.sanitize import sanitize
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.plain import Label


class FormLine(NamedTuple):
    """A field of the form. unsaid: its default. section: a heading above it."""

    id: str
    label: str
    unsaid: str
    explanation: str
    section: str = ""


class LineForm(Vertical):
    """Its fields have ids that begin with its own name, such as `verdict-limit`."""

    def __init__(self, name: str, lines: Sequence[FormLine], given: Mapping[str, str]) -> None:
        """given: what stands in the fields at first."""
        super().__init__(id=f"{name}-form")
        self._prefix, self._lines, self._given = f"{name}-", tuple(lines), given

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):
            for line in self._lines:
                if line.section:
                    yield Label(line.section, classes="recipe-section")
                with Horizontal(classes="field"):
                    yield Label(line.label)
                    value = self._given.get(line.id, "")
                    yield Input(value, placeholder=line.unsaid, id=f"{self._prefix}{line.id}", compact=True)
        yield Label("", id=f"{self._prefix}explanation", classes="form-explanation")

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        line = next((one for one in self._lines if f"{self._prefix}{one.id}" == event.widget.id), None)
        if line is not None:
            self.query_one(f"#{self._prefix}explanation", Label).update(sanitize(line.explanation))

    @property
    def focused_field(self) -> str:
        """The focused field; "" for none."""
        typed = next((line for line in self.query(Input) if line.has_focus), None)
        return (typed.id or "").removeprefix(self._prefix) if typed is not None else ""

    @property
    def is_edited(self) -> bool:
        """Whether a field holds something else than at first."""
        fields = {line.id: self.read_text(line.id) for line in self._lines}
        return any(text != self._given.get(id, "").strip() for id, text in fields.items())

    def write(self, id: str, text: str) -> None:
        """Fill in a field."""
        self.query_one(f"#{self._prefix}{id}", Input).value = text

    def read_text(self, id: str) -> str:
        return self.query_one(f"#{self._prefix}{id}", Input).value.strip()

    def read_number(self, id: str, least: int, unsaid: int, problems: list[str]) -> int:
        """A whole number. problems: takes what is wrong with it."""
        text = self.read_text(id)
        if not text:
            return unsaid
        if not text.isdecimal() or int(text) < least:
            problems.append(f"{self._label(id)}: expected a whole number from {least}, found {text!r}.")
            return unsaid
        return int(text)

    def read_amount(self, id: str, what: str, problems: list[str]) -> float | None:
        """A number from 0, such as a price; None for an empty field. what: is expected, in words."""
        text = self.read_text(id)
        try:
            value = float(text or 0)
        except ValueError:
            value = -1.0
        if not 0 <= value < 1e12:
            problems.append(f"{self._label(id)}: expected {what}, found {text!r}.")
        return value if text else None

    def _label(self, id: str) -> str:
        return next(line.label for line in self._lines if line.id == id)
