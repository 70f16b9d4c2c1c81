"""Ask the process that reads native files; start one when none is free, end it when it hangs.

Knows nothing of formats. Whatever happens over there, who asks gets rows or a DatasetError.
"""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from workbench.errors import DatasetChangedError, DatasetError
from workbench.evaluation.datasets.native.wire import (
    Kind,
    ReadRows,
    TableFile,
    TableReply,
    pack,
    read_frame,
    read_states,
)

SECONDS = 60.0  # for one request: to open a file, or to read some hundred rows
MEMORY_BYTES = 4 << 30
_START = "import sys; sys.path.append(sys.argv[1]); from workbench.evaluation.datasets.native.child import main; main()"
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "SYSTEMROOT", "TZ", "TZDIR")


def describe_file(
    kind: Kind, paths: Sequence[Path], sheet: str = "", features: dict[str, Any] | None = None
) -> TableFile:
    """The files as they are now. Raises DatasetError when one is not there any more."""
    names = tuple(str(path.absolute()) for path in paths)
    try:
        return TableFile(kind, names, read_states(names), sheet, features or {})
    except OSError as error:
        raise DatasetError(f"{paths[0]} cannot be read: {error.strerror or error}.", "Check the path.") from error


def ask(path: Path, file: TableFile, start: int = 0, stop: int = 0) -> TableReply:
    """What `ReadRows` asks for. path: as messages name the file.

    Raises DatasetChangedError when another program has changed the file since `describe_file`, and DatasetError when it
    cannot be read, or not within the limits of time and memory.
    """
    reply = _pool().ask(path, ReadRows(file, start, stop))
    if reply.changed:
        raise DatasetChangedError(path)
    if reply.error:
        raise DatasetError(f"{path} {reply.error}.", reply.hint)
    return reply


class Hold:
    """As long as one of these lives, processes that wait are kept; with the last one they end."""

    def __init__(self) -> None:
        pool = _pool()
        pool.hold(1)
        weakref.finalize(self, pool.hold, -1)


@functools.cache
def _pool() -> _Pool:
    return _Pool()


class _Pool:
    """Processes that wait, those that know a file first."""

    def __init__(self) -> None:
        self._idle: list[_Child] = []
        self._holds = 0
        self._lock = threading.RLock()  # garbage may be collected, and a hold end, at any place

    def hold(self, more: int) -> None:
        with self._lock:
            self._holds += more
            if self._holds > 0:
                return
            idle, self._idle = self._idle, []
        for child in idle:
            child.end()

    def ask(self, path: Path, request: ReadRows) -> TableReply:
        key = msgspec.msgpack.encode(request.file)
        child = self._take(key)
        reply = child.ask(request)
        if reply is None and not child.hung and child.end() == 0:  # nobody had asked for a while, and it went
            child = _Child()
            reply = child.ask(request)
        if reply is None:
            raise _tell_end(path, child)
        child.last = key
        with self._lock:
            self._idle.append(child)
        self.hold(0)
        return reply

    def _take(self, key: bytes) -> _Child:
        with self._lock:
            if not self._idle:
                return _Child()
            known = next((at for at, child in enumerate(self._idle) if child.last == key), -1)
            return self._idle.pop(known)


class _Child:
    """One incarnation of the process. last: the file that it was asked about; hung: it was ended for its slowness."""

    def __init__(self) -> None:
        root = str(Path(__file__).parents[4])
        self._process = subprocess.Popen(
            # -P: a file in the working folder must not stand in for a module
            [sys.executable, "-P", "-X", "utf8", "-c", _START, root, str(MEMORY_BYTES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={
                **{name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
                "ARROW_DEFAULT_MEMORY_POOL": "system",  # the one that asks for no more than it needs
            },
        )
        self.last = b""
        self.hung = False

    def ask(self, request: ReadRows) -> TableReply | None:
        """The answer; None when the process ended instead."""
        clock = threading.Timer(SECONDS, self._stop)
        clock.daemon = True
        clock.start()
        try:
            stdin = cast(BinaryIO, self._process.stdin)
            with contextlib.suppress(OSError):  # the answer that does not come tells of it
                stdin.write(pack(request))
                stdin.flush()
            return read_frame(cast(BinaryIO, self._process.stdout), TableReply)
        finally:
            clock.cancel()

    def end(self) -> int:
        """Make sure that it is gone; its exit code."""
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                cast(BinaryIO, pipe).close()
        try:
            return self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _stop(self) -> None:
        self.hung = True
        self._process.kill()


def _tell_end(path: Path, child: _Child) -> DatasetError:
    code = child.end()
    if child.hung:
        return DatasetError(f"{path} takes longer than {SECONDS:g} s to read.", "Split it, or save it as JSON lines.")
    told = f"exit code {code}" if code >= 0 else f"signal {-code}"
    return DatasetError(
        f"{path} cannot be read: it brought down the process that read it ({told}).", "It is broken; fetch it anew."
    )
