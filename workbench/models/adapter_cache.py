"""The folder of converted adapters: made once for each content, and cleaned of what nobody has used for long.

Several processes may use it at the same time. Knows nothing of how an adapter is converted.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

MOST_BYTES = 2 * 2**30
LONGEST_IDLE_SECONDS = 60 * 24 * 3600.0
SAFE_SECONDS = 3600.0
"""Whatever was used since stays, whatever the limits say: another process may be about to load it."""


class _Kept(NamedTuple):
    path: Path
    used: float
    bytes: int


def fetch(path: Path, make: Callable[[Path], None], clock: Callable[[], float] = time.time) -> Path:
    """The file at `path`, made by `make` where it is not there; either way it is now the one last used."""
    try:
        os.utime(path, ns=(int(clock() * 1e9), path.stat().st_mtime_ns))
    except OSError:
        make(path)
        clean(path.parent, clock())
    return path


def clean(folder: Path, now: float) -> None:
    """Delete what was not used for too long, and what was used longest ago as long as all take too much room.

    What another process deletes meanwhile, or holds so that it cannot be deleted, is passed over.
    """
    files = sorted(_list(folder), key=lambda kept: kept.used)
    total = sum(kept.bytes for kept in files)
    for kept in files:
        idle = now - kept.used
        if idle < SAFE_SECONDS or (idle < LONGEST_IDLE_SECONDS and total <= MOST_BYTES):
            continue
        if _delete(kept.path, kept.used):
            total -= kept.bytes
    for scratch in folder.glob(".*.gguf.*"):  # of a process that ended in the middle of writing
        with contextlib.suppress(OSError):
            if now - scratch.stat().st_mtime > SAFE_SECONDS:
                shutil.rmtree(scratch, ignore_errors=True)


def _list(folder: Path) -> list[_Kept]:
    found = []
    for path in folder.glob("*.gguf"):
        with contextlib.suppress(OSError):
            state = path.stat()
            found.append(_Kept(path, _used(state), state.st_size))
    return found


def _used(state: os.stat_result) -> float:
    """When a file was last asked for, or made."""
    return max(state.st_atime, state.st_mtime)


def _delete(path: Path, used: float) -> bool:
    with contextlib.suppress(OSError):
        if _used(path.stat()) == used:  # else somebody has just taken it up again
            path.unlink()
            return True
    return False
