"""FindBar: find and replace in the prompt editor, in two rows below it."""

from __future__ import annotations

from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets.text_area import Selection

from workbench.tui.prompt_text import Location, find_matches, replace_matches
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.plain import Label
from workbench.tui.widgets.prompt_editor import PromptEditor


class FindBar(Vertical):
    """What to find, what to put in its place, and which match is selected. Role headers are left out."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "close", id="find.close", priority=True),
        Binding("down,ctrl+n", "step(1)", "next match", id="find.next", show=False),
        Binding("up,ctrl+p", "step(-1)", "previous match", id="find.previous", show=False),
        Binding("f4", "replace_all", "replace all", id="find.replace_all"),
    ]

    query_input = getters.query_one("#find-query", Input)
    replacement = getters.query_one("#find-replacement", Input)

    def __init__(self, editor: PromptEditor) -> None:
        super().__init__(id="find")
        self._editor = editor

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Input(placeholder="find", compact=True, id="find-query")
            yield Input(placeholder="replace with", compact=True, id="find-replacement")
        yield Label("", id="find-count", classes="muted")

    def open(self) -> None:
        """Show the bar; what is selected in one line is searched for."""
        self.add_class("-open")
        selected = self._editor.selected_text
        if selected and "\n" not in selected:
            self.query_input.value = selected
        self.query_input.focus()
        self._step(0)

    def action_close(self) -> None:
        self.remove_class("-open")
        self._editor.focus()

    def action_step(self, step: int) -> None:
        self._step(step)

    @on(Input.Changed, "#find-query")
    def _query_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._step(0)

    @on(Input.Changed, "#find-replacement")
    def _replacement_changed(self, event: Input.Changed) -> None:
        event.stop()

    @on(Input.Submitted, "#find-query")
    def _query_entered(self, event: Input.Submitted) -> None:
        event.stop()
        self._step(1)

    @on(Input.Submitted, "#find-replacement")
    def _replacement_entered(self, event: Input.Submitted) -> None:
        """Replace the selected match and go to the next; the first enter only selects one."""
        event.stop()
        start, end = sorted(self._editor.selection)
        if (start, end) in self._matches() and not self._editor.read_only:
            after = self._editor.replace(event.value, start, end).end_location
            self._editor.selection = Selection.cursor(after)
        self._step(0)

    def action_replace_all(self) -> None:
        """As one edit, so that one undo takes it back."""
        if self._editor.read_only:
            return
        document = self._editor.document
        text, count = replace_matches(document.lines, self.query_input.value, self.replacement.value)
        if count:
            self._editor.replace(text, (0, 0), document.end)
        self._show(f"{count} replaced" if count else "No match")

    def _matches(self) -> list[tuple[Location, Location]]:
        return find_matches(self._editor.document.lines, self.query_input.value)

    def _step(self, step: int) -> None:
        """Select the match at or behind the cursor, or the one before or after the selected one, round the end."""
        matches = self._matches()
        if not matches:
            self._show("No match" if self.query_input.value else "")
            return
        start, end = sorted(self._editor.selection)
        following = [index for index, match in enumerate(matches) if match[0] >= start]
        index = following[0] if following else 0
        if (start, end) in matches:
            index = (matches.index((start, end)) + step) % len(matches)
        elif step < 0:
            index -= 1
        self._editor.selection = Selection(*matches[index])
        self._editor.scroll_cursor_visible()
        self._show(f"{index % len(matches) + 1} of {len(matches)}")

    def _show(self, found: str) -> None:
        keys = "enter next/replace   f4 all   esc close"
        self.query_one("#find-count", Label).update(f"{found}   {keys}" if found else keys)
