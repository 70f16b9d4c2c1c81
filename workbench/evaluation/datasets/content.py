"""Content: the bytes of a file as they were when it was opened, read from any place at any time.

Knows nothing of what they mean. A file that another program replaces is still read as it was; one that is
overwritten in place is noticed and refused.
"""

from __future__ import annotations

import hashlib
import os
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

from workbench.errors import DatasetError, FileError

BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 20


class Content:
    """Safe to be read by several threads. begin: where the text begins, after a byte order mark."""

    def __init__(self, path: Path) -> None:
        """Raises FileError when the file cannot be opened, DatasetError when it is text of another encoding."""
        self.path = path
        try:
            self._file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except OSError as error:
            reason = error.strerror or str(error)
            raise FileError(f"Cannot read {path}: {reason}.", "Check the path and its permissions.") from error
        weakref.finalize(self, os.close, self._file)
        self._lock = threading.Lock()
        self._state = self._stat()
        self.size = self._state[0]
        head = self.read(0, 3)
        self.begin = len(BOM) if head == BOM else 0
        if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise DatasetError(f"{path} is UTF-16 text.", "Save it as UTF-8 and open it again.")

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from start up to stop. Raises DatasetError when the file was overwritten since."""
        if self._stat() != self._state:
            raise DatasetError(f"{self.path} was changed by another program since it was opened.", "Open it again.")
        found = self._read(start, stop)
        while start + len(found) < stop and (more := self._read(start + len(found), stop)):
            found += more  # the system gives at most two gigabytes at once
        return found

    def lines(self, start: int) -> Iterator[bytes]:
        """The lines from a place on, each with its line feed."""
        rest = b""
        for block in self._blocks(start):
            *whole, rest = (rest + block).split(b"\n") if rest else block.split(b"\n")
            for line in whole:
                yield line + b"\n"
        if rest:
            yield rest

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
        return running.hexdigest()

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


def find_fault(line: bytes) -> str:
    """Where a line is not UTF-8, as the end of a sentence that begins with its number; "" where it is."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        column = len(line[: error.start].decode()) + 1
        return f", column {column}: not UTF-8 text (byte {line[error.start]:#04x})"
    return ""
