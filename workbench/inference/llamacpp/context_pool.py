"""The contexts over one model's weights: one for each set of adapters in use, and whose turn it is.

A KV cache computed with one set is wrong for every other, so a context that gets another set forgets all it has seen.
Opening one takes longer than applying other adapters to one that is open: a spare one is opened in a quiet moment, and
where no more may be opened, the one that is idle for longest is used again.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from workbench.errors import ModelError
from workbench.inference.llamacpp.adapters import BASE, ContextKey, LoraSet
from workbench.inference.llamacpp.context import Context
from workbench.inference.llamacpp.decode_strategy import DecodeStrategy
from workbench.inference.scheduling.scheduler import Scheduler
from workbench.inference.scheduling.sequences import SequenceState
from workbench.inference.scheduling.step import Resources, run_step
from workbench.inference.types import Failure, Outcome

MOST_SETS = 8
"""Sets of adapters that have a context at the same time, besides the bare model."""

PATIENCE = 64
"""Batch requests that may go to a context while others wait for one."""


class _Room(NamedTuple):
    key: ContextKey
    context: Context
    scheduler: Scheduler


class _Waiting(NamedTuple):
    key: ContextKey
    sequence: SequenceState


class ContextPool:
    """Contexts by their set of adapters, at most MOST_SETS besides the bare model's.

    base: without adapters; it stays. open_context: may raise ModelError. schedule: makes a context's scheduler.
    fits_spare: whether there is memory for a context that nobody has asked for yet. granted: threads for the next step.
    """

    def __init__(
        self,
        base: Context,
        open_context: Callable[[LoraSet], Context],
        schedule: Callable[[Context, ContextKey], Scheduler],
        fits_spare: Callable[[], bool],
        resources: Resources,
        strategy: DecodeStrategy,
        granted: Callable[[], int],
    ) -> None:
        self._resources = resources
        self._strategy = strategy
        self._granted = granted
        self._open_context = open_context
        self._schedule = schedule
        self._fits_spare = fits_spare
        self._most = MOST_SETS
        self._spare: Context | None = None
        self._wants_spare = False
        self._waiting: deque[_Waiting] = deque()
        self._passed = 0
        # native code computes without Python's lock, so that a second thread is all it takes for two contexts at once
        self._executor = ThreadPoolExecutor(1, "second-context")
        self._rooms = [_Room(BASE, base, schedule(base, BASE))]
        """the one whose last turn, or last request, is longest ago comes first"""

    @property
    def busy(self) -> bool:
        return self._working or self._wants_spare

    @property
    def _working(self) -> bool:
        return bool(self._waiting) or any(room.scheduler.busy for room in self._rooms)

    @property
    def sets(self) -> tuple[LoraSet, ...]:
        """The sets that have a context now."""
        return tuple(room.key.adapters for room in self._rooms)

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

    def add(self, key: ContextKey, sequence: SequenceState) -> None:
        """Queue a sequence where its adapters are applied. Raises ModelError."""
        if self._waiting and self._is_held(sequence):
            self._waiting.append(_Waiting(key, sequence))
            return
        room = self._find(key)
        if room:
            self._passed += bool(self._waiting)
            room.scheduler.add(sequence)
        else:
            self._waiting.append(_Waiting(key, sequence))

    def cancel(self, request_id: int) -> None:
        for room in self._rooms:
            room.scheduler.cancel(request_id)
        for one in self._waiting:
            if one.sequence.id == request_id:
                self._rooms[0].scheduler.add(one.sequence)  # any will do: it ends before its turn
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
        live = any(room.scheduler.interactive for room in self._rooms)
        ready = [room for room in self._rooms if (room.scheduler.interactive if live else room.scheduler.busy)]
        return self._advance(ready)

    def close(self) -> None:
        self._waiting.clear()
        for room in self._rooms:
            room.scheduler.close()
            room.context.close()
        self._rooms.clear()
        if self._spare:
            self._spare.close()
            self._spare = None
        self._executor.shutdown()

    def _advance(self, ready: list[_Room]) -> list[Outcome]:
        """One batch of the first context; beside it one of the second, where that is faster than one by one."""
        if not ready:
            return []
        strategy, granted = self._strategy, self._granted()
        first = ready[0]
        self._move_back(first)
        events, parts = first.scheduler.prepare()
        jobs = [(first.scheduler, parts)]
        if len(ready) > 1 and not first.key.deterministic and strategy.chooses(parts):
            second = ready[1]
            more, others = second.scheduler.prepare()
            events += more
            if not second.key.deterministic and strategy.pairs(parts, others, granted):
                self._move_back(second)
                jobs.append((second.scheduler, others))
        threads = max(1, granted // 2) if len(jobs) > 1 else self._resources.threads(parts)
        started = self._resources.clock()
        done = run_step(jobs, self._resources, threads, self._executor)
        if done:
            seconds = self._resources.clock() - started
            strategy.record([batch for _, batch in jobs], threads, granted, seconds)
        return [*events, *done]

    def _admit(self) -> list[Outcome]:
        events: list[Outcome] = []
        blocked = False
        for one in tuple(self._waiting):
            if blocked and self._is_held(one.sequence):
                continue
            try:
                room = self._find(one.key)
            except ModelError as error:
                self._waiting.remove(one)
                events.append(Failure(one.sequence.id, error.message, error.hint, error.details))
                continue
            if room:
                self._passed = self._passed + 1 if blocked else 0
                self._waiting.remove(one)
                room.scheduler.add(one.sequence)
            blocked = blocked or room is None
        return events

    def _is_held(self, sequence: SequenceState) -> bool:
        """Whether one must not go before those that wait for a context: they have let enough others go."""
        return not sequence.interactive and self._passed >= PATIENCE

    def _find(self, key: ContextKey) -> _Room | None:
        """The set's context, opened if there is room for it; None while all are in use."""
        room = next((room for room in self._rooms if room.key == key), None)
        if room is None:
            full = len(self._rooms) > self._most
            ready = self._take_idle() if full else self._take_spare()
            if full and ready is None:
                return None
            if ready:
                ready.apply(key.adapters)
            context = ready or self._open(key.adapters)
            room = _Room(key, context, self._schedule(context, key))
            self._rooms.append(room)
            self._wants_spare = len(self._rooms) <= self._most
        self._move_back(room)
        return room

    def _open(self, adapters: LoraSet) -> Context:
        while True:
            try:
                return self._open_context(adapters)
            except ModelError:  # memory is short: what idle contexts hold may be enough
                idle = self._take_idle()
                if idle is None:
                    raise
                idle.close()

    def _take_idle(self) -> Context | None:
        """The context of the set that is idle for longest, which loses it."""
        idle = next((room for room in self._rooms if room.key != BASE and not room.scheduler.busy), None)
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
        if self._spare is None and self._fits_spare():
            with contextlib.suppress(ModelError):  # it is not needed
                self._spare = self._open_context(())

    def _move_back(self, room: _Room) -> None:
        self._rooms.remove(room)
        self._rooms.append(room)
