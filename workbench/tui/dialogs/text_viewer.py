"""Reader: a long text on the whole screen. Dismissed with nothing."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from workbench.sanitize import sanitize
from workbench.tui.widgets.dialog import Dialog
from workbench.tui.widgets.editing import TextArea
from workbench.tui.widgets.plain import Label, plain_line


class TextViewer(Dialog[None]):
    """Scrolls, selects, copies; changes nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,v", "dismiss(None)", "close", id="reader.leave", priority=True)
    ]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -whole") as dialog:
            dialog.border_title = plain_line(self._title)
            yield TextArea(sanitize(self._text), read_only=True, soft_wrap=True, show_line_numbers=False)
            yield Label("up/down scroll   shift+arrows select   ^c copy   esc close", classes="muted")
