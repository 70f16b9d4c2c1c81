"""The process that reads Parquet, Arrow and Excel files for a dataset: requests from standard input, rows to standard
output. It ends with its parent, or when nobody has asked for a while.

Knows nothing of what columns mean. Every exception of a library becomes an answer in words here: this is the boundary
at which foreign bytes are read.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections import OrderedDict
from typing import Protocol

import msgspec

from workbench.errors import DatasetError
from workbench.evaluation.datasets.native.wire import (
    MOST_BYTES,
    ReadRows,
    TableFile,
    TableReply,
    claim_pipes,
    pack,
    read_frame,
    read_states,
)

_IDLE_SECONDS = 120.0
_KEPT = 16  # files that stay open
_LONGEST = 300  # characters of a library's own words
_KINDS = {"parquet": "Parquet file", "arrow": "Arrow file", "xlsx": "Excel workbook"}
_HINTS = {
    "parquet": "Take another file, or fetch it anew.",
    "arrow": "Fetch it anew.",
    "xlsx": "Save it as .xlsx or .csv and open it again.",
}


class Table(Protocol):
    """An opened file."""

    def describe(self) -> TableReply:
        """Columns and faults, and the number of rows where it is known."""

    def read(self, start: int, stop: int) -> TableReply:
        """Rows from start up to stop; fewer only at the end."""


def main() -> None:
    """Serve until standard input ends."""
    asked, told = claim_pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl+c belongs to the terminal's process
    memory_bytes = int(sys.argv[2])
    _limit_memory(memory_bytes)
    tables: OrderedDict[bytes, Table] = OrderedDict()
    while True:
        idle = threading.Timer(_IDLE_SECONDS, os._exit, (0,))
        idle.daemon = True
        idle.start()
        request = read_frame(asked, ReadRows)
        idle.cancel()
        if request is None:
            return
        told.write(_answer(request, tables, memory_bytes))
        told.flush()


def _limit_memory(most: int) -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # what is allocated, not the address space: a mapped file takes no memory, however long it is
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _answer(request: ReadRows, tables: OrderedDict[bytes, Table], memory_bytes: int) -> bytes:
    key = msgspec.msgpack.encode(request.file)
    opened = key in tables
    try:
        if read_states(request.file.paths) != request.file.states:
            return pack(TableReply(changed=True))
        if not opened:
            tables[key] = _open(request.file)
            if len(tables) > _KEPT:
                tables.popitem(last=False)
        tables.move_to_end(key)
        table = tables[key]
        frame = pack(table.read(request.start, request.stop) if request.stop else table.describe())
    except Exception as error:  # noqa: BLE001 - of a broken file a library may raise anything; who asked must hear of it
        tables.pop(key, None)
        return pack(_explain(request, opened, error, memory_bytes))
    if len(frame) <= MOST_BYTES:
        return frame
    half = (request.start + request.stop) // 2
    if half > request.start:
        return _answer(msgspec.structs.replace(request, stop=half), tables, memory_bytes)
    return pack(TableReply(error=f"has a row that is too large: {request.start + 1}", hint="Shorten it."))


def _open(file: TableFile) -> Table:
    if file.kind == "xlsx":
        from workbench.evaluation.datasets.native.workbook import Workbook

        return Workbook(file)
    from workbench.evaluation.datasets.native.arrow import ArrowFolder, Parquet

    return Parquet(file) if file.kind == "parquet" else ArrowFolder(file)


def _explain(request: ReadRows, opened: bool, error: Exception, memory_bytes: int) -> TableReply:
    kind = request.file.kind
    if isinstance(error, DatasetError):
        return TableReply(error=error.message, hint=error.hint)
    if isinstance(error, MemoryError):
        needed = f"needs more than {memory_bytes >> 20:,} MiB of memory to be read"
        return TableReply(error=needed, hint="Split it, or save it as JSON lines.")
    words = " ".join((str(error) or type(error).__name__).split())[:_LONGEST]
    words = words.encode("utf-8", "backslashreplace").decode()
    if opened:
        return TableReply(error=f"breaks off at row {request.start + 1}: {words}", hint=_HINTS[kind])
    return TableReply(error=f"is no {_KINDS[kind]}: {words}", hint=_HINTS[kind])
