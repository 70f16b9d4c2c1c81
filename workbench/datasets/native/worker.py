"""This side of the workers that read native files: starts one when none is free, ends it when it hangs.

Whatever happens over there, who asks gets rows or a DatasetError.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from workbench.datasets.native.protocol import TABLE_REPLIES, Kind, ReadRows, TableFile, TableReply, read_states
from workbench.errors import DatasetChangedError, DatasetError
from workbench.inference.worker.process import BlockingWorker, WorkerEnded, WorkerExit, WorkerSpec
from workbench.inference.worker.spawn import minimal_environment

SECONDS = 60.0  # for one request: to open a file, or to read some hundred rows
MEMORY_BYTES = 4 << 30


def describe_file(
    kind: Kind, paths: Sequence[Path], sheet: str = "", features: dict[str, Any] | None = None
) -> TableFile:
    """The files as they are now. Raises DatasetError when one is not there any more."""
    names = tuple(str(path.absolute()) for path in paths)
    try:
        return TableFile(kind, names, read_states(names), sheet, features or {})
    except OSError as error:
        raise DatasetError(f"{paths[0]} cannot be read: {error.strerror or error}.", "Check the path.") from error


def query(path: Path, file: TableFile, start: int = 0, stop: int = 0) -> TableReply:
    """What `ReadRows` asks for. path: as messages name the file.

    Raises DatasetChangedError when another program has changed the file since `describe_file`, and DatasetError when it
    cannot be read, or not within the limits of time and memory.
    """
    reply = _pool().query(path, ReadRows(file, start, stop))
    if reply.changed:
        raise DatasetChangedError(path)
    if reply.error:
        raise DatasetError(f"{path} {reply.error}.", reply.hint)
    return reply


class KeepAlive:
    """As long as one of these lives, processes that wait are kept; with the last one they end."""

    def __init__(self) -> None:
        pool = _pool()
        pool.hold(1)
        weakref.finalize(self, pool.hold, -1)


@functools.cache
def _pool() -> _Pool:
    return _Pool()


class _Reader:
    """A worker, and the file that it was asked about last."""

    def __init__(self) -> None:
        spec = WorkerSpec("workbench.datasets.native.server", (str(MEMORY_BYTES),), _make_environment)
        self.worker = BlockingWorker(spec, TABLE_REPLIES, "table reader")
        self.last = b""


class _Pool:
    """Workers that wait, those that know a file first."""

    def __init__(self) -> None:
        self._idle: list[_Reader] = []
        self._holds = 0
        self._lock = threading.RLock()  # garbage may be collected, and a hold end, at any place

    def hold(self, more: int) -> None:
        with self._lock:
            self._holds += more
            if self._holds > 0:
                return
            idle, self._idle = self._idle, []
        for reader in idle:
            reader.worker.kill()

    def query(self, path: Path, request: ReadRows) -> TableReply:
        key = msgspec.msgpack.encode(request.file)
        reader = self._accept(key)
        while True:
            try:
                reply = reader.worker.ask(request, SECONDS)
                break
            except WorkerEnded as ended:
                if ended.exit.code != 0 or not reader.last:
                    raise _describe_end(path, ended.exit) from ended
                reader = _Reader()  # nobody had asked the other for a while, and it went
            except TimeoutError as error:
                reader.worker.end()
                raise DatasetError(
                    f"{path} takes longer than {SECONDS:g} s to read.", "Split it, or save it as JSON lines."
                ) from error
        reader.last = key
        with self._lock:
            self._idle.append(reader)
        self.hold(0)
        return reply

    def _accept(self, key: bytes) -> _Reader:
        with self._lock:
            if not self._idle:
                return _Reader()
            known = next((at for at, reader in enumerate(self._idle) if reader.last == key), -1)
            return self._idle.pop(known)


def _describe_end(path: Path, ended: WorkerExit) -> DatasetError:
    return DatasetError(
        f"{path} cannot be read: the process that read it {ended.reason}.",
        "It is broken; download it again.",
        ended.last_words,
    )


def _make_environment(_: Path) -> dict[str, str]:
    return minimal_environment(ARROW_DEFAULT_MEMORY_POOL="system")  # the one that asks for no more than it needs
