"""A link to an engine in a thread of this process, for engines that cannot crash.

Knows nothing of which engine runs.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from queue import SimpleQueue

from workbench.hosting.link import Ending
from workbench.hosting.service import Opener, Service
from workbench.hosting.wire import Command, Reply


class ThreadLink:
    """Link over a thread; see link.py."""

    def __init__(self, opener: Opener, name: str) -> None:
        self._opener = opener
        self._inbox: SimpleQueue[Command | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"engine {name}", daemon=True)
        self._on_reply: Callable[[Reply], None] = lambda _: None
        self._on_end: Callable[[Ending], None] = lambda _: None

    @property
    def pid(self) -> int | None:
        return None

    def start(self, on_reply: Callable[[Reply], None], on_end: Callable[[Ending], None]) -> None:
        self._on_reply, self._on_end = on_reply, on_end
        self._thread.start()

    def send(self, command: Command) -> None:
        self._inbox.put(command)

    def stop(self) -> None:
        self._inbox.put(None)

    def join(self, seconds: float) -> None:
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(seconds)

    def _run(self) -> None:
        ending = Ending("was stopped", "")
        try:
            Service(self._opener, self._inbox, self._on_reply).run()
        except Exception:  # noqa: BLE001  the thread stands for a process: a defect ends it, and the host is told
            ending = Ending("stopped with an error", traceback.format_exc())
        self._on_end(ending)
