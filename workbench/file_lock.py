"""A lock around checking a file and replacing it, between all processes on this machine.

The folder itself is locked, so that no lock file is left behind, and the system releases the lock of a process that
ends, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from workbench.errors import FileError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_PATIENCE_SECONDS = 10.0
"""A write takes milliseconds; one that holds the lock for so long was stopped in the middle."""

_RETRY_SECONDS = 0.002


@contextlib.contextmanager
def lock_folder(folder: Path, patience: float = _PATIENCE_SECONDS) -> Iterator[None]:
    """Keep other processes and threads that ask for the same from writing in the folder meanwhile; not reentrant.

    A file system without locks, or a folder that may be written but not listed, is used without one.
    Raises FileError when another process keeps the lock for longer than `patience` seconds.
    """
    descriptor = _open(folder)
    if descriptor is None:
        yield
        return
    try:
        _acquire(descriptor, folder, patience)
        yield
    finally:
        os.close(descriptor)


def _open(folder: Path) -> int | None:
    if fcntl is None:
        return None
    try:
        return os.open(folder, os.O_RDONLY)
    except OSError:
        return None


def _acquire(descriptor: int, folder: Path, patience: float) -> None:
    assert fcntl is not None
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise FileError(
                    f"Another program has been writing in {folder} for {patience:g} seconds.",
                    "Nothing was written. See whether another workbench was stopped there, then save again.",
                ) from None
            time.sleep(_RETRY_SECONDS)
        except OSError:
            return  # NFS among others
        else:
            return
