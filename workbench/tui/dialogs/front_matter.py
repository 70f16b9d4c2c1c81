"""FrontMatterEditor: the front matter of a prompt as text, checked while one types. Dismissed with it, or with None."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.timer import Timer

from workbench.errors import WorkbenchError
from workbench.prompting.prompt import Prompt
from workbench.sanitize import sanitize
from workbench.tui.widgets.dialog import FormDialog, is_open
from workbench.tui.widgets.editing import TextArea
from workbench.tui.widgets.plain import Label, Static, plain_line

_QUIET_SECONDS, _KEEP_SECONDS = 0.2, 1.0


class FrontMatterEditor(FormDialog[str | None]):
    """One text area, and below it what the text says or what is wrong with it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "close", id="header.leave", priority=True),
        Binding("ctrl+s", "apply", "apply", id="header.apply", tooltip="Apply the front matter", priority=True),
    ]

    def __init__(
        self, name: str, yaml: str, check: Callable[[str], Prompt], keep: Callable[[str], None] = lambda _: None
    ) -> None:
        """check: the prompt with such a text; raises WorkbenchError for a wrong one.

        keep: called with the text while one types, at least once a second.
        """
        super().__init__()
        self._name, self._yaml, self._check, self._keep = name, yaml, check, keep
        self._quiet: Timer | None = None
        self._keeping: Timer | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -whole") as dialog:
            dialog.border_title = plain_line(f"Front matter of {self._name}")
            yield TextArea(self._yaml, id="header-text", tab_behavior="focus", compact=True, show_line_numbers=True)
            yield Static(id="header-state")
            yield Label("^s apply   esc cancel", classes="muted")

    def on_mount(self) -> None:
        area = self.query_one(TextArea)
        area.line_number_start = 2  # as in the file, whose first line is the fence
        area.focus()
        self._show_state()

    @on(TextArea.Changed)
    def _typed(self, event: TextArea.Changed) -> None:
        event.stop()
        if self._quiet is not None:
            self._quiet.stop()
        self._quiet = self.set_timer(_QUIET_SECONDS, self._show_state)
        if self._keeping is None:
            self._keeping = self.set_timer(_KEEP_SECONDS, self.keep_typed)

    def keep_typed(self) -> None:
        """Hand on what was typed, if anything was since the last time."""
        if self._keeping is not None and is_open(self):
            self._keeping.stop()
            self._keeping = None
            self._keep(self.query_one(TextArea).text)

    def _show_state(self) -> bool:
        """Say what the text means; whether it is right."""
        if not is_open(self):
            return False
        state = self.query_one("#header-state", Static)
        try:
            prompt = self._check(self.query_one(TextArea).text)
        except WorkbenchError as error:
            state.update(Content.assemble((sanitize(error.message), "$text-error"), f"\n{sanitize(error.hint)}"))
            return False
        state.update(describe_header(prompt))
        return True

    def action_apply(self) -> None:
        if self._show_state():
            self.dismiss(self.query_one(TextArea).text)


def describe_header(prompt: Prompt) -> Content:
    """What a front matter says about its prompt, and what in it is not used."""
    defaults = ", ".join(f"{name} = {value}" for name, value in prompt.defaults.items())
    facts = [prompt.mode, f"examples {prompt.placement}", f"defaults {defaults}" if defaults else "no defaults"]
    words = sanitize(" · ".join(filter(None, (prompt.description, *facts))))
    return Content.assemble(words, (f"\n{sanitize(prompt.unsupported)}" if prompt.unsupported else "", "$text-warning"))
