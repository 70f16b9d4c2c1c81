"""Dialog: a modal screen that acts only while it is whole.

Keys may come faster than a dialog is composed, and what its widgets have said may still be under way when it is gone.
"""

from __future__ import annotations

from textual.message import Message
from textual.screen import ModalScreen, ScreenResultType


class Dialog(ModalScreen[ScreenResultType]):
    """Takes no key before it is mounted, and nothing that its widgets say once it was left."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return super().check_action(action, parameters) if self.is_mounted else False

    async def _on_message(self, message: Message) -> None:
        said_by_widget = type(message).__module__.startswith(("textual.widgets", "textual_fspicker.", "workbench."))
        if not said_by_widget or self in self.app.screen_stack:
            await super()._on_message(message)
