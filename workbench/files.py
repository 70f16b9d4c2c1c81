"""Atomic, byte-exact files: a reader sees the old content or the new one, never a torn one.

Files in the user's own folders (`paths`) are readable by that user alone.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from workbench import paths
from workbench.errors import FileChangedError, FileError
from workbench.file_lock import lock_folder

_MOST_BYTES = 256 << 20
"""of a text that is read as a whole"""


def read_text(path: Path) -> str:
    """The file's text, UTF-8, with its line endings untouched.

    Raises FileError when the file cannot be read or is not UTF-8.
    """
    try:
        return _read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileError(
            f"{path} is not UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}.",
            "Convert it to UTF-8 and open it again.",
        ) from error
    except (OSError, ValueError) as error:
        raise FileError(f"Cannot read {path}: {_explain(error)}.", "Check the path and its permissions.") from error


def _read_bytes(path: Path) -> bytes:
    """A regular file's bytes. Raises OSError."""
    if _check_regular(path).st_size > _MOST_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than {_MOST_BYTES >> 20} MiB")
    return path.read_bytes()


def _check_regular(path: Path) -> os.stat_result:
    """Raises OSError for a folder, and for a device or a pipe, which may never end."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(
            errno.EINVAL, "it is not a regular file" if not stat.S_ISDIR(status.st_mode) else "it is a folder"
        )
    return status


def split_lines(text: str) -> list[str]:
    """The lines of a text that has a value on each: only line feeds end one, for JSON may hold the other line breaks
    that Unicode knows."""
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def write_text(path: Path, text: str, expected_digest: str | None = None, durable: bool = True) -> None:
    """Replace the file by `text` in one step, keeping its permissions; folders are made as needed.

    expected_digest: what `digest` gave when the file was opened, or "" for a file that was not there; when the
        file has changed since, nothing is written and FileChangedError is raised. None writes regardless. Nobody who
        writes by this function can do so between the check and the replacement.
    durable: wait until the disk has it. Without, a power cut may lose it, a crash of this program cannot; a
        hundred times faster. Files that several processes change are written durably: only then is there a lock.
    Raises FileError when the file cannot be written; the old content is then still there.
    """
    _write(path, lambda: text, expected_digest, durable)


def update_text(path: Path, change: Callable[[str], str]) -> None:
    """Replace the file by what `change` makes of its text, "" for one that is not there, with no write in between.

    Raises FileError, and whatever `change` raises; the old content is then still there.
    """
    _write(path, lambda: change(read_text(path) if path.exists() else ""), None, durable=True)


def write_stream(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Replace the file in one step by what `write` puts into a stream, for content too large to be held at once.

    Not durable, as in `write_text`. Raises FileError, and whatever `write` raises; the old content is then still there.
    """
    try:
        target = path.resolve()
        make_folder(target.parent)
        _replace(target, write, durable=False)
    except (OSError, RuntimeError) as error:
        raise FileError(
            f"Cannot write {path}: {_explain(error)}.", "Nothing was lost: the old file is as it was."
        ) from error


def _write(path: Path, compose: Callable[[], str], expected_digest: str | None, durable: bool) -> None:
    try:
        target = path.resolve()  # a symbolic link stays a link
        make_folder(target.parent)
        with lock_folder(target.parent) if durable else contextlib.nullcontext():
            if expected_digest is not None and digest(path) != expected_digest:
                raise FileChangedError(
                    f"{path} was changed by another program since it was opened.",
                    "Reload it to see the other version, or save under another name.",
                )
            content = compose().encode("utf-8")
            _replace(target, lambda stream: stream.write(content), durable)
    except UnicodeEncodeError as error:
        raise FileError(
            f"Cannot write {path}: the text contains a lone surrogate ({error.object[error.start]!r}).",
            "Delete that character; the old file is as it was.",
        ) from error
    except (OSError, RuntimeError) as error:
        raise FileError(
            f"Cannot write {path}: {_explain(error)}.", "Nothing was lost: the old file is as it was."
        ) from error


def remove(path: Path) -> None:
    """Delete the file, if it is there. Raises FileError."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise FileError(f"Cannot delete {path}: {_explain(error)}.", "Check its permissions.") from error


def move(path: Path, target: Path) -> None:
    """Move a file to a path that is not taken; folders are made as needed. Raises FileError."""
    try:
        make_folder(target.parent)
        with lock_folder(target.parent):
            if target.exists():
                raise FileError(f"Cannot move {path}: {target} already exists.", "Choose another name.")
            shutil.move(path, target)
        _sync_folder(target.parent)
    except OSError as error:
        raise FileError(f"Cannot move {path} to {target}: {_explain(error)}.", "It is still where it was.") from error


def copy(path: Path, target: Path) -> None:
    """Copy a file to a path that is not taken, in one step; folders are made as needed. Raises FileError."""
    try:
        make_folder(target.parent)
        with lock_folder(target.parent):
            if target.exists():
                raise FileError(f"Cannot copy {path}: {target} already exists.", "Choose another name.")
            content = _read_bytes(path)
            _replace(target, lambda stream: stream.write(content), durable=True)
    except OSError as error:
        raise FileError(f"Cannot copy {path} to {target}: {_explain(error)}.", "Nothing was changed.") from error


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, as needed, private ones among the user's own. Raises OSError."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700 if paths.is_own(one) else 0o777, exist_ok=True)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "it is a file", str(folder))


def make_private(path: Path) -> None:
    """Make a file that only its user can read, or take an existing one away from others. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if os.name == "posix" and mode & 0o077:
            os.fchmod(descriptor, mode & 0o700)
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove what processes that were killed while they wrote have left in a folder and those below it."""
    for path in _find_temporary(folder):
        with contextlib.suppress(OSError):
            path.unlink()


def digest(path: Path) -> str:
    """A fingerprint of a regular file's bytes, read in pieces; "" when there is no such file. Raises FileError."""
    try:
        _check_regular(path)
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, _make_hash).hexdigest()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise FileError(f"Cannot read {path}: {_explain(error)}.", "Check the path and its permissions.") from error


def digest_text(text: str) -> str:
    """The fingerprint that a file with this text has."""
    return hashlib.blake2b(text.encode("utf-8"), digest_size=16).hexdigest()


def _make_hash() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=16)


def _replace(target: Path, write: Callable[[BinaryIO], object], durable: bool) -> None:
    remove_leftovers(target)
    temporary = target.parent / f"{_prefix(target)}{os.getpid()}.{secrets.token_hex(4)}.tmp"
    private = paths.is_own(target)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            write(stream)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode & (0o700 if private else 0o777))
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if durable:
        _sync_folder(target.parent)


def _prefix(target: Path) -> str:
    return f".{target.name[:40]}."


_TEMPORARY = re.compile(r"\..*\.(\d+)\.[0-9a-f]{8}\.tmp")
"""Name of a file that is being written, with the number of its process."""


def remove_leftovers(target: Path) -> None:
    """Remove what a process that was killed while it wrote this file left behind."""
    for path in target.parent.glob(f"{glob.escape(_prefix(target))}*.tmp"):
        if _is_left(path.name):
            with contextlib.suppress(OSError):
                path.unlink()


def _find_temporary(folder: Path) -> Iterator[Path]:
    for inner, _, names in os.walk(folder):
        yield from (Path(inner, name) for name in names if _is_left(name))


def _is_left(name: str) -> bool:
    found = _TEMPORARY.fullmatch(name)
    return found is not None and not _is_alive(int(found[1]))


def _is_alive(pid: int) -> bool:
    import psutil  # only needed after a crash, and slow to import

    alive: bool = psutil.pid_exists(pid)
    return alive


def _explain(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system lets a folder be synced."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
