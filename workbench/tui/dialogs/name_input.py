"""NameInput: asks for one line of text. Dismissed with it, or with None."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from workbench.tui.widgets.dialog import Dialog
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.plain import Label, plain_line


class NameInput(Dialog[str | None]):
    """One input with a title and a line that explains it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "close", id="name.leave")]

    def __init__(self, title: str, explanation: str, value: str = "") -> None:
        super().__init__()
        self._title, self._explanation, self._value = title, explanation, value

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = plain_line(self._title)
            yield Label(self._explanation, classes="muted")
            yield Input(self._value, compact=True)
            yield Label("enter confirm   esc cancel", classes="muted")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip() or None)
