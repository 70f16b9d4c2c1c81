"""PaneStream: the way from an engine's thread to a pane, drained by the screen's one timer.

Events of a run that was replaced are dropped here, so a pane never shows a word of an answer it gave up on. The
last event travels in the same queue as the text: "finished" cannot overtake the last token.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Protocol

from workbench.engines.engine import Chunk, Event, Failure

Sink = Callable[[Event], None]
FRAMES_PER_SECOND = 30


class Cancellable(Protocol):
    """A run that can be called off."""

    def cancel(self) -> None: ...


class PaneStream:
    """Events of one pane's current run."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[int, Event]] = SimpleQueue()
        self._run = 0
        self._job: Cancellable | None = None

    @property
    def active(self) -> bool:
        """Whether the current run has not yet said its last word."""
        return self._job is not None

    def start(self, begin: Callable[[Sink], Cancellable]) -> None:
        """Replace the current run; `begin` gets the sink of the new one."""
        self.abandon()
        run = self._run
        self._job = begin(lambda event: self._queue.put((run, event)))

    def cancel(self) -> None:
        """Ask the current run to end; its last event still comes."""
        if self._job is not None:
            self._job.cancel()

    def abandon(self) -> None:
        """Cancel the current run and drop whatever it still says."""
        self.cancel()
        self._run += 1
        self._job = None

    def drain(self) -> list[Event]:
        """Everything that came since the last call, of the current run only."""
        events: list[Event] = []
        while True:
            try:
                run, event = self._queue.get_nowait()
            except Empty:
                return events
            if run != self._run:
                continue
            events.append(event)
            if isinstance(event, Failure) or (isinstance(event, Chunk) and event.stop_reason is not None):
                self._job = None
