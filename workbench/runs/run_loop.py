"""RunLoop: the event loop of a run, driven by the thread that reads the run's events."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from workbench.runs.progress import RunEvent, RunProgress

_PROGRESS_SECONDS = 0.25
_MOST_INTERRUPTS = 20
"""more of them are a person who wants out at once"""


class RunLoop:
    """The loop runs while the reader waits for an event. cancelled: whether `cancel` was called."""

    def __init__(self) -> None:
        self.cancelled = False
        self._events: list[RunEvent] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Future[None] | None = None
        self._main: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        """Cancel what runs. From any thread."""
        self.cancelled = True
        if self._main:
            self.call(self._main.cancel)

    def follow(self, run: Coroutine[Any, Any, None], progress: Callable[[], RunProgress]) -> Iterator[RunEvent]:
        """Carry `run` out and give its events, with progress among them, whenever the reader wants more."""
        loop = self._loop = asyncio.new_event_loop()
        main = self._main = loop.create_task(run)
        main.add_done_callback(self._signal)
        reported = 0.0
        try:
            while not self.cancelled and (self._events or not main.done()):
                yield from self._next_events(loop)
                if time.monotonic() - reported >= _PROGRESS_SECONDS:
                    reported = time.monotonic()
                    yield progress()
            main.cancel()
            loop.run_until_complete(asyncio.wait([main]))
            yield from self._take_events()
            if not main.cancelled() and (error := main.exception()):
                raise _first(error)
            yield progress()
        finally:
            main.cancel()
            _end_tasks(loop)
            self._loop = None
            loop.close()

    def _next_events(self, loop: asyncio.AbstractEventLoop) -> Iterator[RunEvent]:
        if not self._events:
            self._wake = loop.create_future()
            timer = loop.call_later(_PROGRESS_SECONDS, self._signal)
            loop.run_until_complete(self._wake)
            timer.cancel()
        return self._take_events()

    def _take_events(self) -> Iterator[RunEvent]:
        events, self._events = self._events, []
        return iter(events)

    def emit(self, event: RunEvent) -> None:
        self._events.append(event)
        self._signal()

    def _signal(self, *_: object) -> None:
        if self._wake and not self._wake.done():
            self._wake.set_result(None)

    def call(self, action: Callable[[], object]) -> None:
        """Do something on the loop, from any thread; nothing where it has ended."""
        if loop := self._loop:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(action)


def _end_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Let every task end that was cancelled, and forget what they raise.

    A KeyboardInterrupt that came in the midst of a task is raised again by each task group that held it.
    """
    interrupts = 0
    while tasks := asyncio.all_tasks(loop):
        for task in tasks:
            task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        try:
            loop.run_until_complete(asyncio.wait(tasks))
        except KeyboardInterrupt:
            interrupts += 1
            if interrupts > _MOST_INTERRUPTS:
                raise
    loop.run_until_complete(loop.shutdown_asyncgens())


def _first(error: BaseException) -> BaseException:
    """The error that ended a task group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
