"""The machine as this process finds it: the cores it may use, what other programs use of them, how OpenMP waits."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

_SHORTEST = 0.05
"""Seconds; the system counts in hundredths, so that a shorter look tells nothing."""

_SHORT_MEMORY, _LONG_MEMORY = 0.15, 1.5
"""Seconds after which a look counts little any more, for what is used now and for what is used usually."""

_SPIN_COUNT = "2000"
"""A thread that spins for one without a core keeps that core from it: by default for as long as a hundred steps take.
So few turns cost nothing where each thread has a core; fewer, or none, make every step on an idle machine slower."""


def count_cores(groups: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> int:
    """Whole cores that this process may use, at least one: those it is bound to, within its container's quota.

    groups, membership: where Linux shows control groups.
    """
    bound = bound_cores()
    there = len(bound) if bound else os.cpu_count() or 1
    return max(1, int(min(there, _quota(groups, membership))))


def bound_cores() -> frozenset[int]:
    """The numbers of the cores that this process is bound to; empty where the system does not tell."""
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()


def shorten_openmp_waits() -> None:
    """Let OpenMP's threads spin only briefly, unless a person has set it; before a library that reads it is loaded."""
    os.environ.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)


class BusyCores(NamedTuple):
    """Cores that other programs use, as a fraction. now: in the last tenths of a second; usual: in the last seconds."""

    now: float
    usual: float


class LoadSensor:
    """What other programs use: all that was computed, without what our own processes did.

    busy: seconds that all programs have computed. spent: those of one process; 0 for one that is gone.
    """

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
        self._found = BusyCores(0.0, 0.0)

    def look(self, pids: Sequence[int]) -> BusyCores:
        """What others use. pids: of the processes that are ours, besides this one."""
        now = self._clock()
        elapsed = now - self._at
        if elapsed < _SHORTEST:
            return self._found
        total = self._busy()
        ours = {pid: self._spent(pid) for pid in (os.getpid(), *pids)}
        mine = sum(max(0.0, seconds - self._ours[pid]) for pid, seconds in ours.items() if pid in self._ours)
        seen = max(0.0, total - self._total - mine) / elapsed
        self._found = BusyCores(
            *(
                before + (seen - before) * (1 - math.exp(-elapsed / memory))
                for before, memory in zip(self._found, (_SHORT_MEMORY, _LONG_MEMORY), strict=True)
            )
        )
        self._at, self._total, self._ours = now, total, ours
        return self._found


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


def _quota(groups: Path, membership: Path) -> float:
    """Cores that a container is granted; the narrowest of the groups around a process holds."""
    own = ""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        lines = membership.read_text().splitlines()
        own = next((line[3:].strip("/") for line in lines if line.startswith("0::")), "")
    inner = groups / own
    folders = [inner, *(parent for parent in inner.parents if parent.is_relative_to(groups))]
    found = [_read_quota(folder / "cpu.max", "") for folder in folders]
    found.append(_read_quota(groups / "cpu" / "cpu.cfs_quota_us", "cpu.cfs_period_us"))
    return min(found)


def _read_quota(file: Path, period: str) -> float:
    """Microseconds in each period; `max` or a negative number is no limit. period: its file, where it has its own."""
    try:
        words = file.read_text().split()
        words += file.with_name(period).read_text().split() if period else []
        quota, length = float(words[0]), float(words[1])
    except (OSError, ValueError, IndexError):
        return float("inf")
    return quota / length if quota > 0 and length > 0 else float("inf")
