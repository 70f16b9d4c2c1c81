"""CandidateEditor: a candidate's text and examples, to be changed by hand. Dismissed with the edit, or with None."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content

from workbench.prompting.prompt import Example
from workbench.sanitize import sanitize_line
from workbench.search.candidate import Candidate
from workbench.tui.prompt_searches import CandidateEdit
from workbench.tui.widgets.dialog import FormDialog
from workbench.tui.widgets.editing import TextArea
from workbench.tui.widgets.plain import Label, Option, OptionList, plain_line


class CandidateEditor(FormDialog[CandidateEdit | None]):
    """The body as text; below it the examples in their order, which space switches off and on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "close", id="candidate.leave", priority=True),
        Binding("ctrl+s", "apply", "apply", id="candidate.apply", tooltip="Try this version", priority=True),
        Binding(
            "space",
            "switch_example",
            "on or off",
            id="candidate.toggle",
            tooltip="Switch the example on or off",
            show=False,
        ),
        Binding(
            "shift+up,K", "move_example(-1)", "move up", id="candidate.up", tooltip="Move the example up", show=False
        ),
        Binding(
            "shift+down,J",
            "move_example(1)",
            "move down",
            id="candidate.down",
            tooltip="Move the example down",
            show=False,
        ),
    ]

    def __init__(self, candidate: Candidate, reason: str) -> None:
        super().__init__()
        self._candidate, self._reason = candidate, reason
        self._examples = list(candidate.examples)
        self._off: set[str] = set()
        self._rows = OptionList(id="candidate-examples")

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -whole") as dialog:
            dialog.border_title = plain_line(f"Edit {self._candidate.id}")
            yield TextArea(self._candidate.body, id="candidate-body", tab_behavior="focus", compact=True)
            if self._examples:
                yield self._rows
            keys = "tab examples   space on or off   shift+↑↓ order   " if self._examples else ""
            yield Label(f"{keys}^s try it   esc cancel", classes="muted")

    def on_mount(self) -> None:
        self._fill()
        self.query_one(TextArea).focus()

    def _fill(self) -> None:
        at = self._rows.highlighted
        self._rows.set_options([Option(self._show(one), id=one.id) for one in self._examples])
        if self._examples:
            self._rows.highlighted = at or 0

    def _show(self, example: Example) -> Content:
        text = " ".join(" ".join(example.variables.values()).split())
        mark = "☐" if example.id in self._off else "☑"
        return Content(f"{mark} {sanitize_line(example.id)}  {sanitize_line(text)} → {sanitize_line(example.answer)}")

    def action_switch_example(self) -> None:
        """Switch the example under the cursor off, or on again."""
        at = self._rows.highlighted
        if self._rows.has_focus and at is not None:
            self._off ^= {self._examples[at].id}
            self._fill()

    def action_move_example(self, step: int) -> None:
        """Exchange the example under the cursor with its neighbour; the cursor stays on it."""
        at = self._rows.highlighted
        if not self._rows.has_focus or at is None or not 0 <= at + step < len(self._examples):
            return
        self._examples[at], self._examples[at + step] = self._examples[at + step], self._examples[at]
        self._fill()
        self._rows.highlighted = at + step

    def action_apply(self) -> None:
        one = self._candidate
        examples = tuple(example for example in self._examples if example.id not in self._off)
        self.dismiss(CandidateEdit(self.query_one(TextArea).text, examples, one.thinking, self._reason))
