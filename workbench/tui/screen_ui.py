"""ScreenUi: the Ui of a Textual screen. The one place where an error becomes a toast."""

from __future__ import annotations

from collections.abc import Collection, Coroutine, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar, cast

from textual.screen import Screen

from workbench.errors import WorkbenchError
from workbench.sanitize import sanitize
from workbench.tui.background_task import BackgroundTask
from workbench.tui.dialogs.confirm import ConfirmDialog
from workbench.tui.key_queue import ACTION_GROUP
from workbench.tui.ui import Screens

Result = TypeVar("Result")


class ScreenUi:
    """Implements Ui."""

    def __init__(self, screen: Screen[Any]) -> None:
        self._screen = screen

    @property
    def screens(self) -> Screens:
        return cast("Screens", self._screen.app)

    async def push(self, dialog: Screen[Result]) -> Result | None:
        return await self._screen.app.push_screen_wait(dialog)

    async def ask(
        self, title: str, text: str, answers: Sequence[tuple[str, str]], destructive: Collection[str] = ()
    ) -> str:
        return str(await self.push(ConfirmDialog(title, text, answers, destructive)))

    def toast(self, text: str, title: str = "", timeout: float = 4) -> None:
        self._screen.notify(text, title=title, timeout=timeout)

    def warn(self, text: str, title: str = "", timeout: float = 15) -> None:
        self._screen.notify(text, title=title, severity="warning", timeout=timeout)

    def show_error(self, error: WorkbenchError) -> None:
        self._screen.notify(sanitize(error.hint), title=sanitize(error.message), severity="error", timeout=10)

    def start(self, action: Coroutine[Any, Any, None]) -> None:
        self._screen.run_worker(self._guard(action), group=ACTION_GROUP)

    def launch(self, task: BackgroundTask[Any]) -> None:
        task.start(self._screen.app)

    def copy(self, text: str) -> None:
        self._screen.app.copy_to_clipboard(text)

    def suspend(self) -> AbstractContextManager[None]:
        return self._screen.app.suspend()

    def exit(self) -> None:
        self._screen.app.exit()

    async def _guard(self, action: Coroutine[Any, Any, None]) -> None:
        try:
            await action
        except WorkbenchError as error:
            self.show_error(error)
