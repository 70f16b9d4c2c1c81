"""Keys in their order: each acts only once the one before it has, and on the screen or dialog that that one opened.

Textual sends a letter straight to the focused widget, while a binding waits until its key has bubbled up to the app:
of `tab a` that arrive at once, over a slow line or on a busy machine, the letter would reach the field that is left.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from textual.events import Key, Paste
from textual.message import Message

if TYPE_CHECKING:
    from textual.app import App
    from textual.message_pump import MessagePump
    from textual.screen import Screen
    from textual.timer import Timer
    from textual.worker import Worker

ACTION_GROUP = "action"
"""of the workers that carry out actions of the screen on top: they may be about to open a dialog"""
_TRIPS = 2
"""of a marker behind a key: the first follows the key up to its binding, the second what its action posted"""
_LONGEST_WAIT = 2.0
"""seconds until a key goes on whatever became of the marker before it"""
_LOOK_SECONDS = 0.02
"""after which a key that waits sees whether the marker before it was lost with a widget that was removed"""
_LONGEST_ACTION = 0.3
"""seconds for which keys wait for the dialog that an action may open; longer would be felt as lag"""
_POLL_SECONDS = 0.01


class KeyMarker(Message):
    """Bubbles behind a key up to the app; once it is there, so has the key been."""

    def __init__(self, number: int, trips: int, target: MessagePump) -> None:
        super().__init__()
        self.number, self.trips, self.target = number, trips, target


class KeyQueue:
    """Holds keys and pasted text back while an earlier one is under way."""

    def __init__(self, app: App[None], send: Callable[[Key | Paste], Awaitable[None]]) -> None:
        """send: hands an event on as Textual does."""
        self._app, self._send = app, send
        self._waiting: deque[Key | Paste] = deque()
        self._ready: WeakSet[Screen[object]] = WeakSet()
        """screens that have been composed and have set their focus"""
        self._number = 0
        self._under_way = False
        self._target: MessagePump | None = None
        """of the marker under way"""
        self._waited = 0.0
        self._timer: Timer | None = None
        self._actions: WeakKeyDictionary[Worker[Any], float] = WeakKeyDictionary()
        """action -> when a key began to wait for it"""

    async def put(self, event: Key | Paste) -> None:
        """Hand an event on, or keep it until its turn comes."""
        self._waiting.append(event)
        if not self._under_way:
            await self._next()
        elif self._timer is None:
            self._wait()

    async def on_marker(self, marker: KeyMarker) -> None:
        """A marker has come back."""
        if marker.number != self._number or not self._app.screen_stack:
            return
        if marker.trips > 1 and self._mark(marker.target, marker.trips - 1):
            return
        if marker.target is self._app.screen:
            self._ready.add(self._app.screen)
        await self._next()

    async def _next(self) -> None:
        self._under_way = False
        self._stop_timer()
        if not self._app.screen_stack:  # the app is ending: nothing takes a key any more
            self._waiting.clear()
        while self._waiting and not self._under_way:
            screen = self._app.screen
            if screen not in self._ready and self._mark(screen, 1):
                break
            if self._is_acting(screen):
                self._timer = self._app.set_timer(_POLL_SECONDS, self._next)
                self._under_way = True
                return
            target = self._app.focused or screen
            await self._send(self._waiting.popleft())
            self._mark(target, _TRIPS)
        if self._waiting:
            self._wait()

    def _is_acting(self, screen: Screen[object]) -> bool:
        """Whether an action of this screen is under way that has opened nothing yet."""
        now = time.monotonic()
        return any(
            now - self._actions.setdefault(worker, now) < _LONGEST_ACTION
            for worker in self._app.workers
            if worker.group == ACTION_GROUP and worker.node is screen and not worker.is_finished
        )

    def _mark(self, target: MessagePump, trips: int) -> bool:
        """Send a marker; False where it will not come back."""
        self._number += 1
        self._target = target
        self._under_way = target.post_message(KeyMarker(self._number, trips, target))
        return self._under_way

    def _wait(self) -> None:
        """See to it that a key waits no longer than it has to."""
        self._waited = 0.0
        self._timer = self._app.set_interval(_LOOK_SECONDS, self._look)

    async def _look(self) -> None:
        self._waited += _LOOK_SECONDS
        if self._waited >= _LONGEST_WAIT or not self._app.screen_stack:
            await self._give_up()
        elif self._target is not None and not self._target.is_attached:
            screen = self._app.screen  # what is on top now is to take up what the key before it has done
            if not self._mark(self._app.focused or screen, _TRIPS):
                await self._give_up()

    async def _give_up(self) -> None:
        self._number += 1  # a marker that comes after all is of no use any more
        if self._app.screen_stack:
            self._ready.add(self._app.screen)
        await self._next()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
