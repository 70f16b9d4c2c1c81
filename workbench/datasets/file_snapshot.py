"""The bytes of a file as they were when it was opened, read from any offset at any time.

A file that another program replaces is still read as it was, through the open descriptor; one that is overwritten in
place is noticed and refused.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

from workbench.errors import DatasetChangedError, DatasetError, FileError

BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 20
_MAX_LINE_BYTES = 256 << 20


class FileSnapshot:
    """Safe to be read by several threads. begin: where the text begins, after a byte order mark."""

    def __init__(self, path: Path) -> None:
        """Raises FileError when the file cannot be opened, DatasetError when it is text of another encoding."""
        self.path = path
        self._file = _open(path)
        weakref.finalize(self, os.close, self._file)
        self._digest = ""
        self._lock = threading.Lock()
        self._state = self._stat()
        self.size = self._state[0]
        head = self.read(0, 3)
        self.begin = len(BOM) if head == BOM else 0
        if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise DatasetError(f"{path} is UTF-16 text.", "Save it as UTF-8 and open it again.")

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from start up to stop. Raises DatasetError when the file was overwritten since."""
        self._check()
        found = self._read(start, stop)
        while start + len(found) < stop and (more := self._read(start + len(found), stop)):
            found += more  # the system gives at most two gigabytes at once
        return found

    def lines(self, start: int) -> Iterator[bytes]:
        """The lines from a place on, each with its line feed."""
        rest: list[bytes] = []  # of a line that spans blocks
        for block in self._blocks(start):
            first, *others = block.split(b"\n")
            rest.append(first)
            if others:
                yield b"".join(rest) + b"\n"
                for line in others[:-1]:
                    yield line + b"\n"
                rest = [others[-1]]
            elif len(rest) > _MAX_LINE_BYTES // _BLOCK:
                raise DatasetError(
                    f"{self.path} has a line of more than {_MAX_LINE_BYTES >> 20} MiB.", "Is this a file of rows?"
                )
        if last := b"".join(rest):
            yield last

    def read_all(self) -> bytes:
        """Every byte, the byte order mark among them."""
        return self.read(0, self.size)

    def count(self, part: bytes, stop: int) -> int:
        """How often a byte stands before a place."""
        return sum(self.read(at, min(at + _BLOCK, stop)).count(part) for at in range(0, stop, _BLOCK))

    def digest(self) -> str:
        """The fingerprint of all bytes, as files.digest gives it."""
        running = hashlib.blake2b(digest_size=16)
        for block in self._blocks(0):
            running.update(block)
        self._digest = running.hexdigest()
        return self._digest

    def _check(self) -> None:
        """Raise DatasetChangedError when the file was overwritten; one that was merely touched is the same."""
        state = self._stat()
        if state == self._state:
            return
        # a backup or a checkout touches files without changing them: only then is the content hashed again
        if not self._digest or state[0] != self._state[0]:
            raise DatasetChangedError(self.path)
        before, self._state = self._digest, state
        if self.digest() != before:
            self._state, self._digest = (-1, -1), ""
            raise DatasetChangedError(self.path)

    def _blocks(self, start: int) -> Iterator[bytes]:
        while block := self.read(start, start + _BLOCK):
            start += len(block)
            yield block

    def _read(self, start: int, stop: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._file, stop - start, start)
        with self._lock:
            os.lseek(self._file, start, os.SEEK_SET)
            return os.read(self._file, stop - start)

    def _stat(self) -> tuple[int, int]:
        found = os.fstat(self._file)
        return found.st_size, found.st_mtime_ns


def _open(path: Path) -> int:
    # not blocking: to open a pipe that nobody writes to would wait for ever
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        file = os.open(path, flags)
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise FileError(f"Cannot read {path}: {reason}.", "Check the path and its permissions.") from error
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise DatasetError(f"{path} is not a regular file.", "Save its content as a file.")
    return file


def find_encoding_error(line: bytes) -> str:
    """Where a line is not UTF-8, as the end of a sentence that begins with its number; "" where it is."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        column = len(line[: error.start].decode()) + 1
        return f", column {column}: not UTF-8 text (byte {line[error.start]:#04x})"
    return ""
