"""Dialog: a modal screen that acts only while it is whole.

Keys may come faster than a dialog is composed, and what its widgets have said may still be under way when it is gone.
"""

from __future__ import annotations

from typing import Any, ClassVar

from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import ModalScreen, Screen, ScreenResultType

from workbench.tui.key_queue import KeyMarker
from workbench.tui.widgets.editing import Input, TextArea


def is_open(screen: Screen[Any]) -> bool:
    """Whether a screen or dialog has its widgets: not once it was left.

    Textual 8.2.8 removes the widgets first; until the screen itself is gone it is attached, and its timers run.
    """
    return screen.is_attached and screen in screen.app.screen_stack


SCREEN_KEYS = (
    Binding("tab", "app.focus_next", "next field", id="screen.next", show=False),
    Binding("shift+tab", "app.focus_previous", "previous field", id="screen.previous", show=False),
    Binding("ctrl+c,super+c", "screen.copy_text", "copy selected text", id="screen.copy", show=False),
)
"""of every screen and dialog"""


class Dialog(ModalScreen[ScreenResultType]):
    """Takes no key before it is mounted, and nothing that its widgets say once it was left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *SCREEN_KEYS,
        Binding("question_mark", "app.help", "keys", id="app.keys", show=False),  # a modal hides the app's own
    ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return super().check_action(action, parameters) if self.is_mounted else False

    def action_copy_text(self) -> None:
        """Copy what is selected; where nothing is, say how to quit, as the app does outside of dialogs."""
        try:
            super().action_copy_text()
        except SkipAction:
            self.app.action_help_quit()

    async def _on_message(self, message: Message) -> None:
        from_widget = type(message).__module__.startswith(("textual.widgets", "workbench."))
        if not from_widget or isinstance(message, KeyMarker) or is_open(self):
            await super()._on_message(message)


class FormDialog(Dialog[ScreenResultType]):
    """A dialog in which a text is typed: the first esc says what would be lost, the second one leaves."""

    _texts: list[str] | None = None
    _warned: list[str] | None = None

    def on_mount(self) -> None:
        self._texts = self._read_texts()

    def _read_texts(self) -> list[str]:
        fields = [*self.query(Input), *self.query(TextArea)]
        return [field.value if isinstance(field, Input) else field.text for field in fields]

    def action_cancel(self) -> None:
        """Leave with nothing."""
        texts = self._read_texts()
        if texts in (self._texts, self._warned):
            self.dismiss(None)
        else:
            self._warned = texts
            self.notify("ctrl+s applies it.", title="esc again discards what you typed", severity="warning")
