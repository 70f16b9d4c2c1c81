"""Dialog: a modal screen that acts only while it is whole.

Keys may come faster than a dialog is composed, and what its widgets have said may still be under way when it is gone.
"""

from __future__ import annotations

from typing import Any

from textual.message import Message
from textual.screen import ModalScreen, Screen, ScreenResultType


def is_open(screen: Screen[Any]) -> bool:
    """Whether a screen or dialog has its widgets: not once it was left.

    Textual 8.2.8 removes the widgets first; until the screen itself is gone it is attached, and its timers run.
    """
    return screen.is_attached and screen in screen.app.screen_stack


class Dialog(ModalScreen[ScreenResultType]):
    """Takes no key before it is mounted, and nothing that its widgets say once it was left."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return super().check_action(action, parameters) if self.is_mounted else False

    async def _on_message(self, message: Message) -> None:
        said_by_widget = type(message).__module__.startswith(("textual.widgets", "textual_fspicker.", "workbench."))
        if not said_by_widget or is_open(self):
            await super()._on_message(message)
