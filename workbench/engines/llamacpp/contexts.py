"""The contexts over one model's weights: one for each set of adapters in use, and whose turn it is.

A cache computed with one set is wrong for every other, so a context that gets another set forgets all it has seen.
Opening one takes longer than laying adapters anew over one that is open: a spare one is opened in a quiet moment, and
where no more may be opened, the longest idle one is taken over. Knows nothing of how adapters are loaded (adapters.py)
or batches planned (scheduler.py).
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from workbench.engines.engine import Failure, Outcome
from workbench.engines.llamacpp.adapters import BARE, Laid, Use
from workbench.engines.llamacpp.context import Context
from workbench.engines.llamacpp.planner import Piece
from workbench.engines.llamacpp.row import LlamaRow
from workbench.engines.llamacpp.scheduler import Scheduler
from workbench.engines.llamacpp.step import Part, evaluate, only_writes
from workbench.engines.llamacpp.tools import Tools
from workbench.errors import ModelError

MOST_SETS = 8
"""Sets of adapters that have a context at the same time, besides the bare model."""

PATIENCE = 64
"""Requests that nobody watches which may go to a context while others wait for one."""


class _Room(NamedTuple):
    use: Use
    context: Context
    scheduler: Scheduler


class _Waiting(NamedTuple):
    use: Use
    row: LlamaRow


class Contexts:
    """Contexts by their set of adapters, at most MOST_SETS besides the bare model's.

    base: of the bare model; it stays. open_context: may raise ModelError. schedule: makes a context's scheduler.
    may_prepare: whether there is memory for a context that nobody has asked for yet.
    """

    def __init__(
        self,
        base: Context,
        open_context: Callable[[Laid], Context],
        schedule: Callable[[Context, Use], Scheduler],
        may_prepare: Callable[[], bool],
        tools: Tools,
    ) -> None:
        self._tools = tools
        self._open_context = open_context
        self._schedule = schedule
        self._may_prepare = may_prepare
        self._most = MOST_SETS
        self._spare: Context | None = None
        self._wants_spare = False
        self._waiting: deque[_Waiting] = deque()
        self._passed = 0
        self._rooms = [_Room(BARE, base, schedule(base, BARE))]
        """the one whose last turn, or last request, is longest ago comes first"""

    @property
    def busy(self) -> bool:
        return self._working or self._wants_spare

    @property
    def _working(self) -> bool:
        return bool(self._waiting) or any(room.scheduler.busy for room in self._rooms)

    @property
    def sets(self) -> tuple[Laid, ...]:
        """The sets that have a context now."""
        return tuple(room.use.laid for room in self._rooms)

    @property
    def schedulers(self) -> tuple[Scheduler, ...]:
        return tuple(room.scheduler for room in self._rooms)

    @property
    def contexts(self) -> tuple[Context, ...]:
        """All that are open, those included that nobody uses yet."""
        return (*(room.context for room in self._rooms), *([self._spare] if self._spare else []))

    @property
    def waiting(self) -> int:
        """Requests that wait for a context."""
        return len(self._waiting)

    def add(self, use: Use, row: LlamaRow) -> None:
        """Queue a row where its adapters are laid over the model. Raises ModelError."""
        if self._waiting and self._is_held(row):
            self._waiting.append(_Waiting(use, row))
            return
        try:
            room = self._find(use)
        except ModelError:
            row.sampler.close()
            raise
        if room:
            self._passed += bool(self._waiting)
            room.scheduler.add(row)
        else:
            self._waiting.append(_Waiting(use, row))

    def cancel(self, request_id: int) -> None:
        for room in self._rooms:
            room.scheduler.cancel(request_id)
        for one in self._waiting:
            if one.row.id == request_id:
                self._rooms[0].scheduler.add(one.row)  # any will do: it ends before its turn
                self._rooms[0].scheduler.cancel(request_id)
                self._waiting.remove(one)
                return

    def step(self) -> Sequence[Outcome]:
        """One batch of the context whose turn it is. What can be told before that is told first, such as cancels."""
        if not self._working:
            self._prepare()
        events = self._admit()
        for room in self._rooms:
            events += room.scheduler.settle()
        if events:
            return events
        watched = any(room.scheduler.watched for room in self._rooms)
        ready = [room for room in self._rooms if (room.scheduler.watched if watched else room.scheduler.busy)]
        return self._advance(ready)

    def close(self) -> None:
        for one in self._waiting:
            one.row.sampler.close()
        self._waiting.clear()
        for room in self._rooms:
            room.scheduler.close()
            room.context.close()
        self._rooms.clear()
        if self._spare:
            self._spare.close()
            self._spare = None

    def _advance(self, ready: list[_Room]) -> list[Outcome]:
        """One batch of the first context; beside it one of the second, where that is faster than one by one."""
        if not ready:
            return []
        first = ready[0]
        self._move_back(first)
        events, pieces = first.scheduler.prepare()
        parts: list[tuple[Part, list[Piece]]] = [(first.scheduler, pieces)]
        if len(ready) > 1 and self._goes_beside(first, pieces):
            second = ready[1]
            more, others = second.scheduler.prepare()
            events += more
            if self._goes_beside(second, others) and self._tools.layouts.pays_together(len(pieces), len(others)):
                self._move_back(second)
                parts.append((second.scheduler, others))
        return [*events, *evaluate(parts, self._tools)]

    def _goes_beside(self, room: _Room, pieces: list[Piece]) -> bool:
        free = not room.use.fresh and not room.scheduler.divided and self._tools.threads() > 1
        return free and only_writes(pieces)

    def _admit(self) -> list[Outcome]:
        events: list[Outcome] = []
        blocked = False
        for one in tuple(self._waiting):
            if blocked and self._is_held(one.row):
                continue
            try:
                room = self._find(one.use)
            except ModelError as error:
                one.row.sampler.close()
                self._waiting.remove(one)
                events.append(Failure(one.row.id, error.message, error.hint, error.details))
                continue
            if room:
                self._passed = self._passed + 1 if blocked else 0
                self._waiting.remove(one)
                room.scheduler.add(one.row)
            blocked = blocked or room is None
        return events

    def _is_held(self, row: LlamaRow) -> bool:
        """Whether a row must not go before those that wait for a context: they have let enough others go."""
        return row.priority > 0 and self._passed >= PATIENCE

    def _find(self, use: Use) -> _Room | None:
        """The set's context, opened if there is a place for it; None while all places are at work."""
        room = next((room for room in self._rooms if room.use == use), None)
        if room is None:
            full = len(self._rooms) > self._most
            ready = self._take_idle() if full else self._take_spare()
            if full and ready is None:
                return None
            if ready:
                ready.lay(use.laid)
            context = ready or self._open(use.laid)
            room = _Room(use, context, self._schedule(context, use))
            self._rooms.append(room)
            self._wants_spare = len(self._rooms) <= self._most
        self._move_back(room)
        return room

    def _open(self, laid: Laid) -> Context:
        while True:
            try:
                return self._open_context(laid)
            except ModelError:  # memory is short: what idle contexts hold may be enough
                idle = self._take_idle()
                if idle is None:
                    raise
                idle.close()

    def _take_idle(self) -> Context | None:
        """The context of the set that is idle for longest, which loses it."""
        idle = next((room for room in self._rooms if room.use != BARE and not room.scheduler.busy), None)
        if idle is None:
            return None
        self._rooms.remove(idle)
        return idle.context

    def _take_spare(self) -> Context | None:
        spare, self._spare = self._spare, None
        return spare

    def _prepare(self) -> None:
        """Open a spare context for the next new set, while nobody waits."""
        self._wants_spare = False
        if self._spare is None and self._may_prepare():
            with contextlib.suppress(ModelError):  # it is not needed
                self._spare = self._open_context(())

    def _move_back(self, room: _Room) -> None:
        self._rooms.remove(room)
        self._rooms.append(room)
