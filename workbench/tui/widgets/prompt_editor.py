"""PromptEditor: the template of the chosen pane, with Jinja and role markers coloured.

Holds a body byte for byte, whatever line endings it has, and the name of the prompt whose body it is.
"""

from __future__ import annotations

import re
from typing import ClassVar

import tree_sitter
import tree_sitter_jinja
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.widgets.text_area import TextAreaTheme

from workbench.tui.widgets.editing import TextArea
from workbench.tui.widgets.plain import plain_line

_ROLE = re.compile(r"^\s*#?\s*(system|user|assistant)\s*(\[.*\])?\s*:\s*$", re.IGNORECASE)
_HIGHLIGHTS = """
(variable_begin) @tag (variable_end) @tag (block_begin) @tag (block_end) @tag
(tag_name) @keyword ["for" "in" "if" "else" "is"] @keyword
(filter_call filter: (identifier) @function)
(identifier) @variable (attribute attribute: (identifier) @property)
(string) @string (integer) @number (float) @number (comment) @comment
"""


class PromptEditor(TextArea):
    """A text area for one prompt body."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f4", "screen.do('edit_outside')", "in $EDITOR", id="editor.outside", show=False),
    ]

    def __init__(self) -> None:
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

    def load_prompt(self, name: str, body: str) -> None:
        """Show a prompt; typing history starts anew, unless its text stands there already."""
        if self.text != body:
            self.load_text(body)
        elif self.prompt != name:
            self.history.clear()  # an undo would bring back what another prompt was
        self.prompt, self._taken = name, body

    @property
    def is_edited(self) -> bool:
        """Whether something was typed since the text was loaded or taken last."""
        return not self.read_only and self.text != self._taken

    def mark_taken(self) -> None:
        """What stands here now is known to whoever keeps it, or is not wanted."""
        self._taken = self.text

    def mark_renamed(self, old: str, new: str) -> None:
        """A prompt has another name from now on."""
        self.prompt = new if self.prompt == old else self.prompt

    def show_problem(self, problem: str) -> None:
        """A template error in the border; empty when there is none."""
        self.border_subtitle = plain_line(problem)
        self.set_class(bool(problem), "-problem")

    def get_line(self, line_index: int) -> Text:
        line = super().get_line(line_index)
        if _ROLE.match(line.plain):
            style = self._theme.syntax_styles.get("role") if self._theme else None
            line.stylize(style or "bold")
        return line


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
