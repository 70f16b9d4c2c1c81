"""A sink that a test can wait on."""

from __future__ import annotations

from queue import SimpleQueue

from workbench.engines.engine import Chunk, Completion, Event, Failure, Progress, fold

PATIENCE = 30.0
"""Seconds after which a test gives up; reaching it is a failure, not a delay."""


class Listener:
    """Collects the events of one request."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Event] = SimpleQueue()
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self._queue.put(event)

    def wait(self) -> Completion | Failure:
        """The whole answer, or why there is none."""
        while not is_last(self.next()):
            pass
        last = self.events[-1]
        if isinstance(last, Failure):
            return last
        return fold([event for event in self.events if isinstance(event, Chunk)])

    def wait_for_text(self) -> Chunk:
        while not (isinstance(event := self.next(), Chunk) and event.text):
            assert not is_last(event), event
        return event

    def wait_for_state(self, state: str) -> Progress:
        while not (isinstance(event := self.next(), Progress) and event.state == state):
            assert not is_last(event), event
        return event

    def next(self) -> Event:
        event = self._queue.get(timeout=PATIENCE)
        self.events.append(event)
        return event

    @property
    def silent(self) -> bool:
        """Whether nothing has come that was not taken."""
        return self._queue.empty()


def is_last(event: Event) -> bool:
    return isinstance(event, Failure) or (isinstance(event, Chunk) and event.stop_reason is not None)
