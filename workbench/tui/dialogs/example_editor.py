"""ExampleEditor: one few-shot example, its variables and its answer. Dismissed with it, or with None."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.timer import Timer

from workbench.prompting.prompt import Example
from workbench.tui.widgets.dialog import FormDialog
from workbench.tui.widgets.editing import TextArea
from workbench.tui.widgets.plain import Label, plain_line

_KEEP_SECONDS = 1.0


class ExampleEditor(FormDialog[Example | None]):
    """A text area for each variable, and one for the answer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "close", id="example.leave", priority=True),
        Binding("ctrl+s", "apply", "save", id="example.apply", tooltip="Save the example", priority=True),
    ]

    def __init__(self, example: Example, variables: Sequence[str], keep: Callable[[Example], None]) -> None:
        """variables: names to offer beside those the example already has.

        keep: called with the example as it reads while one types, at least once a second.
        """
        super().__init__()
        self._example, self._keep = example, keep
        self._keeping: Timer | None = None
        self._names = tuple(dict.fromkeys((*example.variables, *variables)))

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall") as dialog:
            dialog.border_title = plain_line(f"Example {self._example.id}")
            with VerticalScroll(can_focus=False):
                for index, name in enumerate(self._names):
                    yield Label(name, classes="field-name")
                    yield _area(self._example.variables.get(name, ""), f"variable-{index}")
                yield Label("answer", classes="field-name")
                yield _area(self._example.answer, "answer")
            yield Label("tab next field   ^s save   esc cancel", classes="muted")

    @on(TextArea.Changed)
    def _typed(self, event: TextArea.Changed) -> None:
        event.stop()
        if self._keeping is None:
            self._keeping = self.set_timer(_KEEP_SECONDS, self.keep_typed)

    def keep_typed(self) -> None:
        """Hand on what was typed, if anything was since the last time."""
        if self._keeping is not None:
            self._keeping.stop()
            self._keeping = None
            self._keep(self._read())

    def action_apply(self) -> None:
        self.dismiss(self._read())

    def _read(self) -> Example:
        texts = [self.query_one(f"#variable-{index}", TextArea).text for index in range(len(self._names))]
        answer = self.query_one("#answer", TextArea).text
        return Example(self._example.id, dict(zip(self._names, texts, strict=True)), answer, self._example.typed)


def _area(text: str, id: str) -> TextArea:
    return TextArea(
        text, id=id, tab_behavior="focus", compact=True, highlight_cursor_line=False, show_line_numbers=False
    )
