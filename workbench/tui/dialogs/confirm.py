"""Question: a short question with named answers. Neither escape nor a stray enter destroys anything."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll

from workbench.tui.widgets.dialog import Dialog
from workbench.tui.widgets.plain import Button, Label, plain_line


class ConfirmDialog(Dialog[str]):
    """Dismissed with the id of the answer."""

    HORIZONTAL_BREAKPOINTS = [(0, "-tight"), (76, "-roomy")]  # noqa: RUF012 - Screen declares it so

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "close", id="question.leave"),
        Binding("left", "app.focus_previous", "previous answer", show=False, id="question.previous"),
        Binding("right", "app.focus_next", "next answer", show=False, id="question.next"),
        Binding("up", "scroll(-1)", "scroll up", show=False, id="question.up"),
        Binding("down", "scroll(1)", "scroll down", show=False, id="question.down"),
    ]

    def __init__(
        self, title: str, text: str, answers: Sequence[tuple[str, str]], destructive: Collection[str] = ()
    ) -> None:
        """answers: id and label of each button; the last one is what escape means.

        destructive: ids of the answers after which something is gone; enter means the first of the others.
        """
        super().__init__()
        self._title, self._text, self._answers = title, text, tuple(answers)
        self._destructive = frozenset(destructive)
        self.safe = next(name for name, _label in self._answers if name not in self._destructive)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -fit") as dialog:
            dialog.border_title = plain_line(self._title)
            with VerticalScroll(classes="question-text", can_focus=False):
                yield Label(self._text)
            with Horizontal(classes="answers"):
                for name, label in self._answers:
                    variant = "primary" if name == self.safe else "error" if name in self._destructive else "default"
                    yield Button(label, id=f"answer-{name}", variant=variant, compact=True)

    def on_mount(self) -> None:
        self.query_one(f"#answer-{self.safe}", Button).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss((event.button.id or "").removeprefix("answer-"))

    def action_leave(self) -> None:
        self.dismiss(self._answers[-1][0])

    def action_scroll(self, rows: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=rows, animate=False)
