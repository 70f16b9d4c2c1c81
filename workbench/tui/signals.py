"""Signals that end the app: SIGTERM, SIGHUP when the terminal is closed, and SIGINT from another process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

_PATIENCE_SECONDS = 5.0
"""A terminal that is gone may block the screen for good: its writer has died, and what is written to it waits."""


@contextlib.contextmanager
def end_by_signals(end: Callable[[int], object], give_up: Callable[[], object]) -> Iterator[None]:
    """While this lasts, a signal calls `end` with the exit code on the event loop.

    give_up: called in a thread of its own where the process still runs some seconds later; then it ends at once. A
        signal that this process was started to ignore stays ignored (nohup).
    """
    ended = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if ended.is_set():
            return
        ended.set()
        code = 128 + number
        waiting = threading.Timer(_PATIENCE_SECONDS, _end_at_once, (code, give_up))
        waiting.daemon = True
        waiting.start()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise SystemExit(code) from None  # before the first picture, or after the last
        loop.call_soon_threadsafe(end, code)  # not at once: the handler of a key may be half done

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGINT") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    taken = [number for number in numbers if before[number] != signal.SIG_IGN]
    for number in taken:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])


def _end_at_once(code: int, give_up: Callable[[], object]) -> None:
    try:
        give_up()
    finally:
        os._exit(code)
