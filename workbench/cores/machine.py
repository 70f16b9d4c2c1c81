"""The cores that this process may use: those it is bound to, within what its container is granted.

Knows nothing of who else wants them.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def count_cores(groups: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> int:
    """Whole cores, at least one. groups, membership: where Linux tells of control groups."""
    bound = bound_cores()
    there = len(bound) if bound else os.cpu_count() or 1
    return max(1, int(min(there, _quota(groups, membership))))


def bound_cores() -> frozenset[int]:
    """The numbers of the cores that this process is bound to; empty where the system does not tell."""
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()


def _quota(groups: Path, membership: Path) -> float:
    """Cores that a container is granted; the narrowest of the groups around a process holds."""
    own = ""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        lines = membership.read_text().splitlines()
        own = next((line[3:].strip("/") for line in lines if line.startswith("0::")), "")
    inner = groups / own
    places = [inner, *(parent for parent in inner.parents if parent.is_relative_to(groups))]
    found = [_read_quota(place / "cpu.max", "") for place in places]
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
