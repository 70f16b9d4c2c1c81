"""Textual's widgets for text, made safe by construction: a string is never markup and steers no terminal.

Everything of the screen that shows text uses these instead of Textual's own, which would parse `[b]x` or
`[@click=app.screenshot]` in the name of a variant; ruff's TID251 refuses the others.
"""

from __future__ import annotations

from typing import Any, ClassVar

import textual.widgets
import textual.widgets.option_list
from rich.markup import escape
from textual.binding import Binding, BindingType
from textual.content import Content, ContentText
from textual.visual import VisualType

from workbench.sanitize import sanitize, sanitize_line


def plain(text: str) -> Content:
    """Foreign text as it is, whatever brackets it holds."""
    return Content(sanitize(text))


def plain_line(text: str) -> Content:
    """The same on one row, for the title of a border."""
    return Content(sanitize_line(text))


def sanitize_visual(content: VisualType) -> VisualType:
    """What a widget was given, as it may be shown: strings become plain content, spans of content stay in place."""
    if isinstance(content, str):
        return plain(content)
    if isinstance(content, Content):
        safe = sanitize(content.plain)
        return content if safe == content.plain else Content(safe, list(content.spans))
    return content


def escape_label(text: str) -> str:
    """Foreign text for the axes of a plot, whose canvas parses Rich's markup."""
    return escape(sanitize_line(text))


class Static(textual.widgets.Static):
    """A text that the app changes."""

    def __init__(self, content: VisualType = "", **options: Any) -> None:
        super().__init__(sanitize_visual(content), markup=False, **options)

    def update(self, content: VisualType = "", *, layout: bool = True) -> None:
        super().update(sanitize_visual(content), layout=layout)


class Label(textual.widgets.Label):
    """A text of its own width."""

    def __init__(self, content: VisualType = "", **options: Any) -> None:
        super().__init__(sanitize_visual(content), markup=False, **options)

    def update(self, content: VisualType = "", *, layout: bool = True) -> None:
        super().update(sanitize_visual(content), layout=layout)


class Button(textual.widgets.Button):
    """A button with a plain label."""

    def __init__(self, label: ContentText, **options: Any) -> None:
        super().__init__(plain(label) if isinstance(label, str) else label, **options)

    def validate_label(self, label: ContentText) -> Content:
        return plain(label) if isinstance(label, str) else super().validate_label(label)


class Option(textual.widgets.option_list.Option):
    """A row of a list."""

    def __init__(self, prompt: VisualType, id: str | None = None, disabled: bool = False) -> None:
        super().__init__(sanitize_visual(prompt), id=id, disabled=disabled)


class OptionList(textual.widgets.OptionList, inherit_bindings=False):
    """A list whose rows are plain."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "cursor_up", "row above", id="list.up", show=False),
        Binding("down", "cursor_down", "row below", id="list.down", show=False),
        Binding("home", "first", "first row", id="list.first", show=False),
        Binding("end", "last", "last row", id="list.last", show=False),
        Binding("pageup", "page_up", "a page up", id="list.page_up", show=False),
        Binding("pagedown", "page_down", "a page down", id="list.page_down", show=False),
        Binding("enter", "select", "choose", id="list.choose", show=False),
    ]

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, **options)
