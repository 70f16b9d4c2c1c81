"""The register of claims: a locked file for each process of this person that could compute.

The system drops the lock when a process ends, however it ends, so that nothing of it stays. Without such locks, or
without a folder for them, a process knows of no other. Knows nothing of how cores are divided.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from workbench.cores.claims import Claim

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_SUFFIX = ".claim"
_MOST = 255


def shared_folder() -> Path | None:
    """The folder that all workbenches of this person on this machine share; None where there can be none."""
    if fcntl is None:
        return None
    given = os.environ.get("XDG_RUNTIME_DIR")
    if given and _is_own(Path(given)):
        folder = Path(given) / "workbench"
    else:
        folder = Path(tempfile.gettempdir()) / f"workbench-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return None
    return folder if _is_own(folder) else None


class Register:
    """One process's claim, and those of the others."""

    def __init__(self, folder: Path | None, pid: int | None = None) -> None:
        self._folder = folder
        self._pid = os.getpid() if pid is None else pid
        self.name = f"{self._pid}.{secrets.token_hex(4)}"
        self._descriptor: int | None = None
        self._written = b""

    def publish(self, rank: int, most: int) -> None:
        """Say that this process computes, or that it goes on to."""
        self._write(bytes((1, rank, min(most, _MOST))))

    def withdraw(self) -> None:
        """Say that it computes nothing now."""
        if self._descriptor is not None:
            self._write(bytes(3))

    def others(self) -> list[Claim]:
        """The claims of other processes that compute now; what dead ones left is removed."""
        if self._folder is None or fcntl is None:
            return []
        try:
            with os.scandir(self._folder) as entries:
                paths = [Path(entry.path) for entry in entries if entry.name.endswith(_SUFFIX)]
        except OSError:
            return []
        own = self.name + _SUFFIX
        return [claim for path in paths if path.name != own for claim in _read(path)]

    def close(self) -> None:
        """Leave the register."""
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
    hidden = folder / f"{name}.new"
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


def _read(path: Path) -> Iterator[Claim]:
    """The claim in a file, if its process lives and computes."""
    assert fcntl is not None
    name = path.name.removesuffix(_SUFFIX)
    pid = name.partition(".")[0]
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        state = os.read(descriptor, 3)
        if len(state) == 3 and state[0] and pid.isdecimal():
            yield Claim(name, int(pid), state[1], max(1, state[2]))
    except OSError:  # a file system without locks
        return
    else:
        with contextlib.suppress(OSError):
            path.unlink()
    finally:
        os.close(descriptor)


def _is_own(folder: Path) -> bool:
    """A folder that nobody else can write into."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
