"""Who computes: a locked file for each process of this person, and how the cores are divided between them.

Every process reads all files and divides alike, so none has to tell another. The system drops a lock when its process
ends, however it ends, and whoever looks next removes the file. Only files of this user count, in a folder that nobody
else can enter: nobody can slow down another one's processes. Without such locks, or without a folder for them, a
process sees no other, and takes it for load.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

INTERACTIVE, BATCH = 0, 1
"""Ranks: whether a person waits for what is computed."""


class Reservation(NamedTuple):
    """name: unique on the machine. most: cores that it could use."""

    name: str
    pid: int
    rank: int
    most: int


def divide(cores: int, reservations: Sequence[Reservation]) -> dict[str, int]:
    """Cores by name: at least one each, then in turns, interactive ones first, as long as there are any."""
    given = {reservation.name: 1 for reservation in reservations}
    order = sorted(reservations, key=lambda reservation: (reservation.rank, reservation.name))
    left = cores - len(reservations)
    while left > 0 and (open_ := [reservation for reservation in order if given[reservation.name] < reservation.most]):
        poorest = min(open_, key=lambda reservation: given[reservation.name])
        given[poorest.name] += 1
        left -= 1
    return given


try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_SUFFIX = ".reservation"
_HIDDEN = ".new"
"""Suffix of a reservation that has no lock yet."""

_MOST = 255


def shared_folder() -> Path | None:
    """The folder that all workbenches of this person on this machine share; None where there can be none."""
    if fcntl is None:
        return None
    given = os.environ.get("XDG_RUNTIME_DIR")
    try:
        if given and _is_own(Path(given)):
            folder = Path(given) / "workbench"
        else:  # on a full disk there may be no folder for temporary files at all
            folder = Path(tempfile.gettempdir()) / f"workbench-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if _is_own(folder):
            folder.chmod(0o700)
            return folder
    except OSError:
        return None
    return None


def remove_dead() -> None:
    """Remove what processes that are gone have left."""
    LockRegistry(shared_folder()).others()


class LockRegistry:
    """One process's reservation, and those of the others."""

    def __init__(self, folder: Path | None, pid: int | None = None) -> None:
        self._folder = folder
        self._pid = os.getpid() if pid is None else pid
        self.name = f"{self._pid}.{secrets.token_hex(4)}"
        self._descriptor: int | None = None
        self._written = b""

    def publish(self, rank: int, most: int) -> None:
        """Publish that this process computes."""
        self._write(bytes((1, rank, min(most, _MOST))))

    def withdraw(self) -> None:
        """Publish that it computes nothing now."""
        if self._descriptor is not None:
            self._write(bytes(3))

    def others(self) -> list[Reservation]:
        """The reservations of other processes that compute now; what dead ones left is removed."""
        if self._folder is None or fcntl is None:
            return []
        try:
            with os.scandir(self._folder) as entries:
                paths = [Path(entry.path) for entry in entries if entry.name.endswith((_SUFFIX, _HIDDEN))]
        except OSError:
            return []
        own = self.name + _SUFFIX
        return [reservation for path in paths if path.name != own for reservation in _read(path)]

    def close(self) -> None:
        """Withdraw for good."""
        if self._descriptor is not None and self._folder is not None:
            with contextlib.suppress(OSError):
                (self._folder / (self.name + _SUFFIX)).unlink()
            os.close(self._descriptor)
            self._descriptor = None
            self._written = b""

    def _write(self, state: bytes) -> None:
        if state == self._written or self._folder is None:
            return
        try:
            if self._descriptor is None:
                self._descriptor = _create(self._folder, self.name)
            os.pwrite(self._descriptor, state, 0)
            self._written = state
        except OSError:  # a full disk, a folder that was swept: others do not see this one, and sense it as load
            self.close()


def _create(folder: Path, name: str) -> int:
    """A locked file. It gets its name only then: one that is not locked counts as left behind."""
    assert fcntl is not None
    folder.mkdir(mode=0o700, exist_ok=True)
    hidden = folder / f"{name}{_HIDDEN}"
    descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, bytes(3))
        hidden.rename(folder / (name + _SUFFIX))
    except OSError:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            hidden.unlink()
        raise
    return descriptor


def _read(path: Path) -> Iterator[Reservation]:
    """The reservation in a file, if its process lives and computes; what a dead one left is removed."""
    assert fcntl is not None
    name = path.stem
    pid = name.partition(".")[0]
    if not pid.isdecimal() or not _is_alive(int(pid)):  # a lock outlives its process where that has forked
        with contextlib.suppress(OSError):
            path.unlink()
        return
    if path.suffix == _HIDDEN:
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    try:
        if not _is_own_file(os.fstat(descriptor)):
            return
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        state = os.read(descriptor, 3)
        if len(state) == 3 and state[0]:
            yield Reservation(name, int(pid), state[1], max(1, state[2]))
    except OSError:  # a file system without locks
        return
    else:
        with contextlib.suppress(OSError):
            path.unlink()
    finally:
        os.close(descriptor)


def _is_alive(pid: int) -> bool:
    """Whether it is a process of this user."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _is_own_file(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022


def _is_own(folder: Path) -> bool:
    """A folder that nobody else can write into."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
