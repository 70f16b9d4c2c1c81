"""Whose turn it is at one address: how many requests it takes at a time, and which goes first.

The number adapts: it grows while requests succeed and shrinks by a fifth for an episode of 429, however many of them an
episode has. Interactive requests go before batch ones. The first request of a prefix group goes alone, so that the
server evaluates their common beginning once; the others follow when it has. Of a server that caches by slot,
slot_assignment.py says which run side by side.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

from workbench.inference.remote.clock import RequestClock
from workbench.inference.remote.slot_assignment import ANY, SlotAssignment

START = 20
LEAST = 1
MOST = 256
SHRINK = 0.8
COOL_DOWN_SECONDS = 15.0
"""How long an episode of 429 lasts at least."""

_REMEMBERED = 256
"""Prefix groups that are known to be in a server's cache."""


@dataclass(eq=False, slots=True)
class Turn:
    """A request that waits for its turn, or has it. group: of requests that begin alike; None: of none.

    granted: done once it may be sent. leads: it is the first of its group. slot: of the server. began: when it was
    granted. succeeded: it was answered.
    """

    priority: int
    number: int
    group: Hashable | None
    granted: asyncio.Future[None]
    leads: bool = False
    slot: int = ANY
    began: float = 0.0
    succeeded: bool = False


@dataclass(slots=True)
class AddressQueue:
    """See the module. ceiling: most requests in flight; 0: MOST. For the tasks of one event loop.

    changes: the limits over time, as (seconds, limit), the last ones.
    """

    clock: RequestClock
    ceiling: int = 0
    limit: float = START
    running: int = 0
    changes: list[tuple[float, int]] = field(default_factory=list)
    asleep: set[asyncio.Task[None]] = field(default_factory=set)
    _waiting: list[Turn] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _warm: OrderedDict[Hashable, None] = field(default_factory=OrderedDict)
    _leading: dict[Hashable, Turn] = field(default_factory=dict)
    _cool_until: float = 0.0
    _paused_until: float = 0.0
    _slots: SlotAssignment | None = None

    def __post_init__(self) -> None:
        self.limit = min(self.limit, self._most)

    @property
    def _most(self) -> int:
        return self.ceiling or MOST

    @property
    def outstanding(self) -> int:
        """Requests that run or wait."""
        return self.running + len(self._waiting)

    @property
    def groups(self) -> int:
        """Prefix groups whose beginning it has."""
        return self._slots.groups if self._slots else len(self._warm) + len(self._leading)

    def is_warm(self, group: Hashable | None) -> bool:
        """Whether requests of a group were answered, or are, at this address."""
        if self._slots:
            return group is not None and self._slots.knows(group)
        return group is not None and (group in self._warm or group in self._leading)

    def set_slots(self, slots: int, cached: bool) -> None:
        """Send no more requests at a time than a server has slots. cached: each keeps its last prompt."""
        self.ceiling = slots
        self.limit = float(slots)
        self._slots = SlotAssignment(slots) if cached else None

    async def acquire(self, priority: int, group: Hashable | None) -> Turn:
        """Wait for a turn; give it back by `release`."""
        turn = Turn(priority, next(self._numbers), group, asyncio.get_running_loop().create_future())
        self._waiting.append(turn)
        self._grant()
        try:
            await turn.granted
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif not turn.granted.cancelled():
                self.release(turn)
            raise
        return turn

    def pause(self, seconds: float) -> None:
        """Send nothing for so long: the server asked for it."""
        until = self.clock.monotonic() + seconds
        if until > self._paused_until:
            self._paused_until = until
            task = asyncio.ensure_future(self._wake_after(seconds, until))
            self.asleep.add(task)
            task.add_done_callback(self.asleep.discard)

    async def _wake_after(self, seconds: float, until: float) -> None:
        await self.clock.sleep(seconds)
        if self._paused_until == until:  # no later pause has taken its place
            self._paused_until = 0.0
            self._grant()

    def note_prefilled(self, turn: Turn) -> None:
        """The server has evaluated the turn's prompt: others of its group may follow."""
        if turn.group is not None:
            self._warm[turn.group] = None
            self._warm.move_to_end(turn.group)
            while len(self._warm) > _REMEMBERED:
                self._warm.popitem(last=False)
        self._stop_leading(turn)
        self._grant()

    def release(self, turn: Turn) -> None:
        """The turn is over, well or not."""
        self.running -= 1
        if self._slots and turn.slot != ANY:
            self._slots.end(turn.slot, self.clock.monotonic() - turn.began if turn.succeeded else None)
        self._stop_leading(turn)
        self._grant()

    def note_success(self, turn: Turn) -> None:
        """A request was answered: a whole round of them raises the limit by one."""
        turn.succeeded = True
        if self._waiting and self.running >= int(self.limit) and self.clock.monotonic() >= self._cool_until:
            before = int(self.limit)
            self.limit = min(self.limit + 1 / max(self.limit, 1.0), float(self._most))
            self._note_change(before)

    def note_busy(self) -> None:
        """A request was refused with 429: the limit shrinks, once for an episode."""
        now = self.clock.monotonic()
        if now >= self._cool_until:
            before = int(self.limit)
            self.limit = max(float(LEAST), min(self.limit, max(self.running, LEAST)) * SHRINK)
            self._note_change(before)
        self._cool_until = now + COOL_DOWN_SECONDS

    def _note_change(self, before: int) -> None:
        if int(self.limit) != before:
            self.changes = [*self.changes[-99:], (self.clock.monotonic(), int(self.limit))]

    def _stop_leading(self, turn: Turn) -> None:
        if turn.leads:
            turn.leads = False
            self._leading.pop(turn.group, None)

    def _grant(self) -> None:
        """Hand out the turns that are free, in order of priority, then of arrival."""
        if self.clock.monotonic() < self._paused_until:
            return
        self._waiting.sort(key=lambda turn: (turn.priority, turn.number))
        for turn in list(self._waiting):
            if self.running >= max(int(self.limit), LEAST):
                return
            if turn.granted.done():  # its task was cancelled in this very moment
                self._waiting.remove(turn)
                continue
            if not (self._choose_slot(turn) if self._slots else self._may_follow(turn)):
                continue
            self._waiting.remove(turn)
            turn.began = self.clock.monotonic()
            self.running += 1
            turn.granted.set_result(None)

    def _may_follow(self, turn: Turn) -> bool:
        """Whether a turn need not wait for the first of its group; it may be that one."""
        if turn.group is None or turn.group in self._warm:
            return True
        if turn.group in self._leading:
            return False
        turn.leads = True
        self._leading[turn.group] = turn
        return True

    def _choose_slot(self, turn: Turn) -> bool:
        assert self._slots
        slot = self._slots.choose(turn.group, [one.group for one in self._waiting], turn.priority == 0)
        if slot is None:
            return False
        turn.slot = slot
        self._slots.start(slot, turn.group)
        return True
