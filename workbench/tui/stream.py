"""The way from a client's task to a pane, drained by the screen's one timer rather than by a message for each token.

The last event travels in the same list as the text: "finished" cannot overtake the last token.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

import msgspec

from workbench.errors import WorkbenchError
from workbench.inference.types import Chunk, Failure, is_last
from workbench.tui.call_stream import CallEvent, PaneEvent

FRAMES_PER_SECOND = 30


class PaneStream:
    """Events of one pane's current answer. Each answer is a task of the screen's loop with a list of its own, so that
    nothing of one that was replaced is ever shown."""

    def __init__(self) -> None:
        self._events: list[PaneEvent] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def active(self) -> bool:
        """Whether the last event of the current answer has not been drained."""
        return self._task is not None

    def start(self, events: AsyncGenerator[PaneEvent, None]) -> None:
        """Replace the current answer by a client's."""
        self.abandon()
        self._task = asyncio.create_task(_collect(events, self._events))
        self._task.add_done_callback(partial(_end, self._events))

    def cancel(self) -> None:
        """End the current answer; its last event, which says so, is still drained."""
        if self._task is not None:
            self._task.cancel()

    def abandon(self) -> None:
        """End the current answer and drop what was not drained."""
        self.cancel()
        self._task, self._events = None, []

    def drain(self) -> list[PaneEvent]:
        """Everything that came since the last call."""
        events = self._events[:]
        self._events.clear()
        if events and not isinstance(events[-1], CallEvent) and is_last(events[-1]):
            self._task = None
        return events


def _end(found: list[PaneEvent], task: asyncio.Task[None]) -> None:
    """End an answer whose task was cancelled before its first step."""
    if task.cancelled():
        found.append(Chunk(0, stop_reason="cancelled"))


async def _collect(events: AsyncGenerator[PaneEvent, None], found: list[PaneEvent]) -> None:
    """Put each event into the list, and last of all one that ends the answer, whatever happens."""
    last = Chunk(0)
    try:
        async with aclosing(events):
            async for event in events:
                found.append(event)
                if isinstance(event, Chunk):
                    last = event
    except asyncio.CancelledError:
        if last.stop_reason is None:
            found.append(msgspec.structs.replace(last, text="", tokens=(), stop_reason="cancelled"))
    except WorkbenchError as error:
        found.append(Failure(0, error.message, error.hint, error.details))
    except Exception as error:  # noqa: BLE001  nobody awaits the task: the pane has to show it
        found.append(Failure(0, f"The answer failed: {error!r}.", "Run again.", traceback.format_exc()))
