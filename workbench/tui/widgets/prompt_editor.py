"""PromptEditor: the template of the chosen pane, with Jinja and role markers coloured.

Holds a body byte for byte: what was not edited is handed back exactly as it came, whatever line endings it has.
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
        self._body = ""
        self._loaded = ""
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

    def load_body(self, body: str) -> None:
        """Show another body; typing history starts anew."""
        self._body = body
        self.load_text(body)
        self._loaded = self.text

    def to_model(self) -> str:
        """The body as it now stands."""
        return self._body if self.text == self._loaded else self.text

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
