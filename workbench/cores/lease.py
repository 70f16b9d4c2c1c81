"""The lease of cores: what a process that computes may use now, beside others of ours and beside other programs.

A thread without a core of its own keeps all others waiting, so there are never more threads than cores are free. Knows
nothing of what is computed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable

from workbench.cores.claims import BACKGROUND, WATCHED, Claim, divide
from workbench.cores.grant import Grant
from workbench.cores.load import Load
from workbench.cores.machine import count_cores
from workbench.cores.register import Register, shared_folder
from workbench.cores.stalls import Stalls

LOOK_SECONDS = 0.1
"""Between two looks at the machine, each of which takes a fifth of a millisecond."""

_TOLERABLE, _SURE = 0.4, 0.25
"""Of a core, that others may use of it while it is kept, and while it is taken."""


class Lease:
    """One process's part of the machine, at most `most` of its `cores`."""

    def __init__(self, most: int, cores: int, register: Register, load: Load, clock: Callable[[], float]) -> None:
        self.cores = cores
        self._most = min(most, cores)
        self._register = register
        self._load = load
        self._clock = clock
        self._grant = Grant()
        self._stalls = Stalls(clock)
        self._rank = BACKGROUND
        self._computing = False
        self._due = float("-inf")
        self._threads = 1

    @classmethod
    def open(cls, most: int = 0) -> Lease:
        """A lease on this machine; most 0: of all its cores."""
        cores = count_cores()
        clock = time.monotonic
        return cls(most or cores, cores, Register(shared_folder()), Load(clock), clock)

    @property
    def granted(self) -> int:
        """What `threads` said last."""
        return self._threads

    def begin(self, watched: bool = False) -> None:
        """From now on this process computes; cheap where it does so already.

        watched: someone looks on; such a process is given what cannot be divided.
        """
        rank = WATCHED if watched else BACKGROUND
        if not self._computing or rank != self._rank:
            self._computing, self._rank = True, rank
            self._register.publish(rank, self._most)

    def end(self) -> None:
        """It computes nothing until it begins again."""
        if self._computing:
            self._computing = False
            self._register.withdraw()

    def threads(self) -> int:
        """Threads for the next step, each with a core of its own as far as can be told; at least one."""
        if self._most > 1:
            now = self._clock()
            if now >= self._due:
                self._due = now + LOOK_SECONDS
                self._look(now)
            self._threads = 1 if self._stalls.holding else self._grant.cores
        return self._threads

    def note(self, kind: Hashable, seconds: float) -> None:
        """A step of a kind took so long with the threads that were granted last."""
        self._stalls.note(kind, self._threads, seconds)

    def close(self) -> None:
        """Leave the machine to others."""
        self._computing = False
        self._register.close()

    def _look(self, now: float) -> None:
        others = self._register.others()
        busy = self._load.look([claim.pid for claim in others])
        claims = [Claim(self._register.name, 0, self._rank, self._most), *others]

        def share(spare: float) -> int:
            free = max(1, math.floor(self.cores - busy + spare))
            return divide(free, claims)[self._register.name]

        self._grant.follow(share(_TOLERABLE), share(_SURE), now)
