"""The frames between a dataset and the process that reads its file: four length bytes, then msgpack.

Knows nothing of the pipes' other ends.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, TypeVar

import msgspec

T = TypeVar("T")
Kind = Literal["parquet", "arrow", "xlsx"]
MOST_BYTES = 256 << 20  # of one frame


class FileState(NamedTuple):
    """By which a file that was replaced or written over is noticed."""

    device: int
    inode: int
    size: int
    modified_ns: int


class TableFile(msgspec.Struct, frozen=True):
    """Which rows are meant.

    paths: the file, or the shards of an Arrow folder. states: theirs when they were opened. sheet: of a workbook.
    features: what the `datasets` library wrote about the columns of an Arrow folder.
    """

    kind: Kind
    paths: tuple[str, ...]
    states: tuple[FileState, ...]
    sheet: str = ""
    features: dict[str, Any] = {}


class ReadRows(msgspec.Struct, frozen=True):
    """Ask for rows from start up to stop, numbered from 0; fewer may come, none only at the end. Both 0: only open."""

    file: TableFile
    start: int = 0
    stop: int = 0


class TableRow(msgspec.Struct, frozen=True, array_like=True):
    """cells: column -> text. typed: the columns whose text is JSON of a value that is not text. problem: why the row
    cannot be read, "" where it can."""

    line: int
    cells: dict[str, str] = {}
    typed: frozenset[str] = frozenset()
    problem: str = ""


class TableReply(msgspec.Struct, frozen=True):
    """What a file holds, as far as it was read; or why nothing of it can be read.

    count: its rows, None where only reading tells (a sheet). rows: those that were asked for. faults: rows that cannot
    be read, as far as that was checked, by number. parts: the sheets of a workbook. problems: what makes the whole
    file unusable, each with its line. remarks: what was decided about the file. error, hint: why nothing can be read;
    changed: because the file is another by now.
    """

    columns: tuple[str, ...] = ()
    count: int | None = None
    rows: tuple[TableRow, ...] = ()
    faults: dict[int, str] = {}
    parts: tuple[str, ...] = ()
    problems: tuple[tuple[int, str], ...] = ()
    remarks: tuple[str, ...] = ()
    error: str = ""
    hint: str = ""
    changed: bool = False


def read_states(paths: Sequence[str]) -> tuple[FileState, ...]:
    """The present state of each file. Raises OSError."""
    found = [Path(path).stat() for path in paths]
    return tuple(FileState(one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns) for one in found)


def pack(frame: ReadRows | TableReply) -> bytes:
    """A frame's bytes, length included."""
    body = msgspec.msgpack.encode(frame)
    return len(body).to_bytes(4, "little") + body


def read_frame(stream: BinaryIO, kind: type[T]) -> T | None:
    """The next frame; None at the stream's end, in the middle of a frame too."""
    head = stream.read(4)
    length = int.from_bytes(head, "little")
    if len(head) < 4 or length > MOST_BYTES:
        return None
    body = stream.read(length)
    return msgspec.msgpack.decode(body, type=kind) if len(body) == length else None


def claim_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output for the frames alone; what a library prints goes to standard error."""
    asked, told = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(asked, "rb"), os.fdopen(told, "wb")
