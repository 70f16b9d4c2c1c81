"""BackgroundTask: long work beside the screens, on a Textual worker, with progress, an outcome and a way to cancel.

The work blocks, so it runs on a daemon thread of its own: asyncio's default executor has few threads, and Python waits
for them when the app exits. The worker only awaits that thread; when Textual cancels the worker, the work is cancelled.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from textual.app import App

from workbench.errors import WorkbenchError
from workbench.runs.progress import RunProgress
from workbench.tui.cancellation import Cancellation

Result = TypeVar("Result")


class BackgroundTask(Cancellation, ABC, Generic[Result]):
    """One piece of work. version: counts what is new, so that a screen that polls sees whether to draw.

    stage: what is being done, in words. result: what came of it; error: why nothing did.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.stage = ""
        self.progress: RunProgress | None = None
        self.result: Result | None = None
        self.error: WorkbenchError | None = None
        self.running = False
        self.version = 0
        self._thread: threading.Thread | None = None

    @abstractmethod
    def work(self) -> Result:
        """Do it; blocks. Calls `report` with progress, and `on_cancel` with what ends it early."""

    def start(self, app: App[Any]) -> None:
        """Start it as a worker of the app, which outlives the screens."""
        self.running = True
        app.run_worker(self._follow, name=self.name, group=self.name)  # type: ignore[arg-type]

    def report(self, progress: RunProgress | None = None, stage: str = "") -> None:
        """Show progress; a new stage begins without any."""
        self.progress, self.stage = progress, stage or self.stage
        self.version += 1

    def close(self, seconds: float) -> None:
        """Cancel it and wait for its end, for so long at most. Blocks."""
        if self.running and self._thread is not None:
            self.cancel()
            self._thread.join(seconds)

    async def _follow(self) -> None:
        done: Future[None] = Future()
        done.set_running_or_notify_cancel()
        self._thread = threading.Thread(target=self._carry_out, args=(done,), name=self.name, daemon=True)
        self._thread.start()
        try:
            await asyncio.wrap_future(done)
        except asyncio.CancelledError:
            self.cancel()
            raise

    def _carry_out(self, done: Future[None]) -> None:
        try:
            self.result = self.work()
        except WorkbenchError as error:
            self.error = error
        except BaseException as error:  # noqa: BLE001 - a defect: it reaches the app through the worker
            self._end()
            done.set_exception(error)
            return
        self._end()
        done.set_result(None)

    def _end(self) -> None:
        self.running = False
        self.version += 1
