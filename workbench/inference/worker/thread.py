"""An engine in a thread of this process, for engines that cannot crash."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from queue import SimpleQueue

from workbench.inference.worker.process import WorkerExit
from workbench.inference.worker.protocol import Command, Reply
from workbench.inference.worker.server import EngineLoader, EngineServer


class ThreadTransport:
    """Transport over a thread (engine_run.py)."""

    def __init__(self, opener: EngineLoader, name: str) -> None:
        self._opener = opener
        self._inbox: SimpleQueue[Command | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"engine {name}", daemon=True)
        self._on_reply: Callable[[Reply], None] = lambda _: None
        self._on_exit: Callable[[WorkerExit], None] = lambda _: None

    @property
    def pid(self) -> int | None:
        return None

    def start(self, on_reply: Callable[[Reply], None], on_exit: Callable[[WorkerExit], None]) -> None:
        self._on_reply, self._on_exit = on_reply, on_exit
        self._thread.start()

    def send(self, message: Command) -> None:
        self._inbox.put(message)

    def stop(self) -> None:
        self._inbox.put(None)

    def join(self, seconds: float) -> None:
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(seconds)

    def _run(self) -> None:
        ended = WorkerExit("was stopped", "")
        try:
            EngineServer(self._opener, self._inbox, self._on_reply).run()
        except Exception:  # noqa: BLE001  the thread stands for a process: a defect ends it, and whoever waits is told
            ended = WorkerExit("stopped with an error", traceback.format_exc())
        self._on_exit(ended)
