"""The worker that reads Parquet, Arrow and Excel files for a dataset. It ends with its parent, or when nobody has asked
for a while.

Every exception of a library becomes an answer in words here: this is the boundary at which foreign bytes are read.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import Protocol

import msgspec

from workbench.datasets.native.protocol import TABLE_REQUESTS, ReadRows, TableFile, TableReply, read_states
from workbench.errors import DatasetError
from workbench.inference.worker.child import ParentChannel
from workbench.inference.worker.frames import FrameError
from workbench.inference.worker.spawn import limit_resources

_IDLE_SECONDS = 120.0
_KEPT = 16  # files that stay open
_LONGEST = 300  # characters of a library's own words
_KINDS = {"parquet": "a Parquet file", "arrow": "an Arrow file", "xlsx": "an Excel workbook"}
_HINTS = {
    "parquet": "Take another file, or download it again.",
    "arrow": "Download it again.",
    "xlsx": "Save it as .xlsx or .csv and open it again.",
}


class TableReader(Protocol):
    """An opened file."""

    def describe(self) -> TableReply:
        """Columns and row_errors, and the number of rows where it is known."""

    def read(self, start: int, stop: int) -> TableReply:
        """Rows from start up to stop; fewer only at the end."""


def main() -> None:
    """Serve until the parent ends, or asks nothing for a while. argv: the bytes of memory it may allocate."""
    channel = ParentChannel(TABLE_REQUESTS)
    memory_bytes = int(sys.argv[1])
    limit_resources(
        RLIMIT_DATA=memory_bytes
    )  # not the address space: a mapped file takes no memory, however long it is
    channel.listen()
    tables: OrderedDict[bytes, TableReader] = OrderedDict()
    while (request := channel.receive(_IDLE_SECONDS)) is not None:
        _serve(channel, request, tables, memory_bytes)


def _serve(
    channel: ParentChannel[ReadRows], request: ReadRows, tables: OrderedDict[bytes, TableReader], memory_bytes: int
) -> None:
    """Reply with as many of the rows as a frame can hold."""
    try:
        channel.send(_answer(request, tables, memory_bytes))
    except FrameError:
        half = (request.start + request.stop) // 2
        if half > request.start:
            _serve(channel, msgspec.structs.replace(request, stop=half), tables, memory_bytes)
        else:
            channel.send(TableReply(error=f"has a row that is too large: {request.start + 1}", hint="Shorten it."))


def _answer(request: ReadRows, tables: OrderedDict[bytes, TableReader], memory_bytes: int) -> TableReply:
    key = msgspec.msgpack.encode(request.file)
    opened = key in tables
    try:
        if read_states(request.file.paths) != request.file.states:
            return TableReply(changed=True)
        if not opened:
            tables[key] = _open(request.file)
            if len(tables) > _KEPT:
                tables.popitem(last=False)
        tables.move_to_end(key)
        table = tables[key]
        return table.read(request.start, request.stop) if request.stop else table.describe()
    except Exception as error:  # noqa: BLE001 - of a broken file a library may raise anything; who asked must hear of it
        tables.pop(key, None)
        return _explain(request, opened, error, memory_bytes)


def _open(file: TableFile) -> TableReader:
    if file.kind == "xlsx":
        from workbench.datasets.native.workbook import Workbook

        return Workbook(file)
    from workbench.datasets.native.arrow import ArrowFolder, Parquet

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
    return TableReply(error=f"is not {_KINDS[kind]}: {words}", hint=_HINTS[kind])
