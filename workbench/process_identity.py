"""Which process something belongs to, and whether that process is still running."""

from __future__ import annotations

import os
from functools import cache

_CLOCK_STEP_SECONDS = 2.0
"""By so much a process's start may seem to move: the system tells it against a clock that is corrected."""


def describe_myself() -> str:
    """This process: its number, and when it began, since numbers come again."""
    return _describe(os.getpid())


def is_alive(identity: str) -> bool:
    """Whether a process that was so described still runs; a later one with the same number does not count."""
    import psutil

    number, _, started = identity.partition(" ")
    try:
        moved = psutil.Process(int(number)).create_time() - float(started)
    except (psutil.Error, ValueError, OverflowError):
        return False
    return bool(abs(moved) < _CLOCK_STEP_SECONDS)


@cache
def _describe(pid: int) -> str:
    import psutil  # slow to import, and wanted by the first picture last

    return f"{pid} {psutil.Process(pid).create_time():.2f}"
