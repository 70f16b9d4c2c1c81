"""What other programs keep the cores busy with, from how much was computed altogether and how much of it was ours.

Knows nothing of what follows from that.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Sequence

import psutil

from workbench.cores.machine import bound_cores

_SHORTEST = 0.05
"""Seconds; the system counts in hundredths, so that a shorter look tells nothing."""

_MEMORY = 0.15
"""Seconds after which a look counts little any more."""


class Load:
    """busy: seconds that all programs have computed. spent: those of one process; 0 for one that is gone."""

    def __init__(
        self,
        clock: Callable[[], float],
        busy: Callable[[], float] | None = None,
        spent: Callable[[int], float] | None = None,
    ) -> None:
        self._clock = clock
        self._busy = busy or _busy
        self._spent = spent or _spent
        self._at = clock()
        self._total = self._busy()
        self._ours = {os.getpid(): self._spent(os.getpid())}
        self._cores = 0.0

    def look(self, pids: Sequence[int]) -> float:
        """Cores that others keep busy lately. pids: of the processes that are ours, besides this one."""
        now = self._clock()
        elapsed = now - self._at
        if elapsed < _SHORTEST:
            return self._cores
        total = self._busy()
        ours = {pid: self._spent(pid) for pid in (os.getpid(), *pids)}
        mine = sum(max(0.0, seconds - self._ours[pid]) for pid, seconds in ours.items() if pid in self._ours)
        seen = max(0.0, total - self._total - mine) / elapsed
        self._cores += (seen - self._cores) * (1 - math.exp(-elapsed / _MEMORY))
        self._at, self._total, self._ours = now, total, ours
        return self._cores


def _busy() -> float:
    with contextlib.suppress(OSError, RuntimeError, psutil.Error):
        bound = bound_cores()
        if bound and len(bound) < (os.cpu_count() or 1):
            each = psutil.cpu_times(percpu=True)
            if max(bound) < len(each):
                return sum(_working(each[core]) for core in bound)
        return _working(psutil.cpu_times())
    return 0.0


def _working(times: psutil._common.scputimes) -> float:  # type: ignore[name-defined, unused-ignore]
    found: dict[str, float] = times._asdict()
    counted_twice = found.get("guest", 0.0) + found.get("guest_nice", 0.0)
    return sum(found.values()) - found["idle"] - found.get("iowait", 0.0) - counted_twice


def _spent(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except (OSError, psutil.Error):
        return 0.0
    return float(times.user + times.system)
