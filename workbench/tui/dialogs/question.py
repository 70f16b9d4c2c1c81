"""Question: a short question with named answers. Leaving it with escape is the last answer, the safe one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen

from workbench.tui.widgets.plain import Button, Label, plain_line


class Question(ModalScreen[str]):
    """Dismissed with the id of the answer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "leave", id="question.leave"),
        Binding("left", "app.focus_previous", show=False, id="question.previous"),
        Binding("right", "app.focus_next", show=False, id="question.next"),
    ]

    def __init__(self, title: str, text: str, answers: Sequence[tuple[str, str]]) -> None:
        """answers: id and label of each button; the last one is what escape means."""
        super().__init__()
        self._title, self._text, self._answers = title, text, tuple(answers)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = plain_line(self._title)
            yield Label(self._text)
            with Horizontal(classes="answers"):
                for index, (name, label) in enumerate(self._answers):
                    yield Button(label, id=f"answer-{name}", variant="default" if index else "primary", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss((event.button.id or "").removeprefix("answer-"))

    def action_leave(self) -> None:
        self.dismiss(self._answers[-1][0])
