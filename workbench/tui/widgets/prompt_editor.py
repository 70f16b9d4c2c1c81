"""PromptEditor: the template of the chosen pane, with Jinja coloured and role headers as rules.

Holds a body byte for byte, whatever line endings it has, and the name of the prompt whose body it is. Variables
are completed from the columns of the case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import tree_sitter
import tree_sitter_jinja
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.document._document import Location
from textual.events import Blur, Key
from textual.message import Message
from textual.widgets.text_area import TextAreaTheme

from workbench.tui.prompt_text import (
    VariableCompletion,
    complete_variable,
    is_role_header,
)
from workbench.tui.widgets.plain import plain_line
from workbench.tui.widgets.ruled_text import RuledTextArea

_HIGHLIGHTS = """
(variable_begin) @tag (variable_end) @tag (block_begin) @tag (block_end) @tag
(tag_name) @keyword ["for" "in" "if" "else" "is"] @keyword
(filter_call filter: (identifier) @function)
(identifier) @variable (attribute attribute: (identifier) @property)
(string) @string (integer) @number (float) @number (comment) @comment
"""


class PromptEditor(RuledTextArea):
    """A text area for one prompt body."""

    keeps_letters = True

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+f", "find", "find", id="editor.find", show=False),
        Binding("f4", "screen.do('edit_outside')", "in $EDITOR", id="editor.outside", show=False),
        Binding("alt+r", "screen.do('edit_role')", "role of the section", id="editor.role", show=False),
    ]

    class FindRequested(Message):
        """Find and replace was asked for."""

    def __init__(self, read_columns: Callable[[], Mapping[str, str]]) -> None:
        """read_columns: the variables of the current case, with their values."""
        super().__init__(
            id="prompt",
            tab_behavior="focus",
            soft_wrap=True,
            show_line_numbers=False,
            highlight_cursor_line=False,
        )
        self.prompt = ""
        """name of the prompt that is edited: what is typed belongs to it, whichever pane is chosen meanwhile"""
        self._taken = ""
        self._cursors: dict[str, Location] = {}
        self._read_columns = read_columns
        self._choices: list[VariableCompletion] = []
        self._choices_at: Location = (0, 0)
        self._problem = ""
        self._refused = False
        language = tree_sitter.Language(tree_sitter_jinja.language())
        self.register_language("jinja", language, _HIGHLIGHTS)

    def on_mount(self) -> None:
        self.language = "jinja"
        self._recolour()
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._recolour())

    def _recolour(self) -> None:
        self.register_theme(template_theme(self.app.theme_variables))
        self.theme = "css"  # so that setting it again is a change
        self.theme = "template"

    def load_prompt(self, name: str, body: str, has_roles: bool = True) -> None:
        """Show a prompt, with the cursor where it was; its undo history starts again, unless the text is the same.

        has_roles: whether lines such as `user:` begin sections.
        """
        self.show_rules(has_roles)
        self._cursors[self.prompt] = self.cursor_location
        if self.text != body:
            self.load_text(body)
            self.move_cursor(self._cursors.get(name, (0, 0)))
        elif self.prompt != name:
            self.history.clear()  # an undo would bring back what another prompt was
        self.prompt, self._taken = name, body

    @property
    def is_edited(self) -> bool:
        """Whether something was typed since the text was loaded or taken last."""
        return not self.read_only and self.text != self._taken

    def mark_taken(self) -> None:
        """The text is in the session now, or is not wanted."""
        self._taken = self.text

    def mark_renamed(self, old: str, new: str) -> None:
        """A prompt has another name from now on."""
        self.prompt = new if self.prompt == old else self.prompt

    def show_problem(self, problem: str) -> None:
        """A template error in the border; empty when there is none."""
        self._problem = problem
        self.set_class(bool(problem), "-problem")
        self._show_subtitle()

    def _show_subtitle(self) -> None:
        """The error; while a variable is typed, the columns that finish it."""
        if self._choices:
            first = self._choices[0]
            others = " · ".join(choice.name for choice in self._choices[1:])
            more = f"   ↓ {others}" if others else ""
            self.border_subtitle = plain_line(f"tab {first.name} = {first.sample}{more}")
        elif self._refused:
            self.border_subtitle = "alt+r changes or removes a role"
        else:
            self.border_subtitle = plain_line(self._problem)

    def get_line(self, line_index: int) -> Text:
        line = super().get_line(line_index)
        if self.has_rules and is_role_header(line.plain):
            style = self._theme.syntax_styles.get("role") if self._theme else None
            line.stylize(style or "bold")
        return line

    def on_rule_protected(self) -> None:
        self._refused = True
        self._show_subtitle()

    # --- find and completion -------------------------------------------------------------------------------------

    def action_find(self) -> None:
        self.post_message(self.FindRequested())

    def update_suggestion(self) -> None:
        """Show the rest of the first column that finishes the variable before the cursor."""
        row, column = self.cursor_location
        line = self.document[row] if row < self.document.line_count else ""
        found: list[VariableCompletion] = []
        if self.selection.is_empty and not self.read_only:
            found = complete_variable(line[:column], line[column:], self._read_columns())
        self._choices_at = self.cursor_location
        self._refused = False
        self._choose_from(found)

    def on_text_area_selection_changed(self) -> None:
        moved = self.cursor_location != self._choices_at
        if moved and (self._choices or self._refused):
            self._refused = False
            self._choose_from([])

    def _choose_from(self, choices: list[VariableCompletion]) -> None:
        self._choices = choices
        self.suggestion = choices[0].rest if choices else ""
        self._show_subtitle()

    async def _on_key(self, event: Key) -> None:
        """Tab takes what is suggested, esc refuses it. Textual calls the handler of TextArea for other keys itself."""
        if not self._choices or event.key not in ("tab", "escape"):
            return
        event.stop()
        event.prevent_default()
        if event.key == "tab":
            self.action_cursor_right()
        else:
            self._choose_from([])

    def action_cursor_down(self, select: bool = False) -> None:
        if len(self._choices) > 1:
            self._choose_from([*self._choices[1:], self._choices[0]])
        else:
            super().action_cursor_down(select)

    def action_cursor_up(self, select: bool = False) -> None:
        if len(self._choices) > 1:
            self._choose_from([self._choices[-1], *self._choices[:-1]])
        else:
            super().action_cursor_up(select)

    def on_blur(self, _event: Blur) -> None:
        self._choose_from([])


def template_theme(variables: dict[str, str]) -> TextAreaTheme:
    """The colours of Jinja in the prompt editor, taken from a theme's variables."""

    background = Color.parse(variables["background"])

    def style(variable: str, *, bold: bool = False, italic: bool = False) -> Style:
        colour = Color.parse(variables.get(variable, variables["foreground"]))
        opaque = background.blend(colour, colour.a, 1) if colour.a < 1 and not colour.ansi else colour
        return Style(color=opaque.rich_color, bold=bold or None, italic=italic or None)

    return TextAreaTheme(
        name="template",
        syntax_styles={
            "role": style("primary", bold=True),
            "tag": style("secondary", bold=True),
            "keyword": style("secondary"),
            "function": style("secondary"),
            "variable": style("accent"),
            "property": style("accent"),
            "string": style("success"),
            "number": style("success"),
            "comment": style("foreground-muted", italic=True),
            "operator": style("secondary"),
        },
    )
