"""The CPU budget of a process that computes: how many threads its next step gets, beside others of ours and of others.

A thread without a core of its own keeps all others of its step waiting. Between our own processes the cores are divided
by their reservations; beside other programs the number of threads is chosen by what steps take (thread_tuner.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

from workbench.cpu_budget.machine import LoadSensor, count_cores
from workbench.cpu_budget.reservations import BATCH, INTERACTIVE, LockRegistry, Reservation, divide, shared_folder
from workbench.cpu_budget.thread_tuner import ThreadTuner

LOOK_SECONDS = 0.1
"""Between two looks at the machine, each of which takes a fifth of a millisecond."""


class CpuBudget:
    """One process's part of the machine, at most `most` of its `cores`."""

    def __init__(
        self, most: int, cores: int, registry: LockRegistry, load: LoadSensor, clock: Callable[[], float]
    ) -> None:
        self.cores = cores
        self._most = min(most, cores)
        self._registry = registry
        self._load = load
        self._clock = clock
        self._tuner = ThreadTuner(clock)
        self._rank = BATCH
        self._computing = False
        self._due = float("-inf")
        self._limit = 1
        self._room = self._usual_room = 1.0
        self._threads = 1

    @classmethod
    def open(cls, most: int = 0) -> CpuBudget:
        """A budget on this machine; most 0: of all its cores."""
        cores = count_cores()
        clock = time.monotonic
        return cls(most or cores, cores, LockRegistry(shared_folder()), LoadSensor(clock), clock)

    @classmethod
    def none(cls) -> CpuBudget:
        """For a process whose model is computed on devices: it reserves no core, and nothing slows it down.

        Its one thread prepares what the devices compute, which takes no core for long.
        """
        clock = time.monotonic
        return cls(0, count_cores(), LockRegistry(None), LoadSensor(clock), clock)

    @property
    def granted(self) -> int:
        """What `threads` said last; 0 where the CPU computes nothing of the model."""
        return self._threads if self._most else 0

    def begin(self, interactive: bool = False) -> None:
        """From now on this process computes; cheap where it does so already.

        interactive: a person waits for it; such a process is given what cannot be divided.
        """
        if not self._most:
            return
        rank = INTERACTIVE if interactive else BATCH
        if not self._computing or rank != self._rank:
            self._computing, self._rank = True, rank
            self._registry.publish(rank, self._most)

    def end(self) -> None:
        """It computes nothing until it begins again."""
        if self._computing:
            self._computing = False
            self._registry.withdraw()

    def threads(self) -> int:
        """Threads for the next step; at least one."""
        if self._most > 1:
            now = self._clock()
            if now >= self._due:
                self._due = now + LOOK_SECONDS
                self._look()
            self._threads = self._tuner.choose(self._limit, self._room, self._usual_room)
        return self._threads

    def record(self, kind: Hashable, seconds: float) -> None:
        """A step took so long with the threads that were granted last. Steps of one kind do the same work."""
        if self._most > 1:
            self._tuner.record(kind, self._threads, seconds)

    def close(self) -> None:
        """Leave the machine to others."""
        self._computing = False
        self._registry.close()

    def _look(self) -> None:
        others = self._registry.others()
        given = divide(self.cores, [Reservation(self._registry.name, 0, self._rank, self._most), *others])
        self._limit = given[self._registry.name]
        busy = self._load.look([other.pid for other in others])
        reserved = sum(given.values())

        def room(used: float) -> float:
            """Cores of ours that other programs leave: they use free ones first, then some of each process's."""
            return self._limit - max(0.0, reserved + used - self.cores) * self._limit / reserved

        self._room, self._usual_room = room(busy.now), room(busy.usual)
