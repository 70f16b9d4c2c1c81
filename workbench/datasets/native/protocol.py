"""The messages between a dataset and the worker that reads its file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from workbench.inference.worker.frames import FrameCodec

Kind = Literal["parquet", "arrow", "xlsx"]


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


class FileRow(msgspec.Struct, frozen=True, array_like=True):
    """cells: column -> text. typed: the columns whose text is JSON of a value that is not text. problem: why the row
    cannot be read, "" where it can."""

    line: int
    cells: dict[str, str] = {}
    typed: frozenset[str] = frozenset()
    problem: str = ""


class TableReply(msgspec.Struct, frozen=True):
    """What a file holds, as far as it was read; or why nothing of it can be read.

    count: its rows, None where only reading tells (a sheet). rows: those asked for. row_errors: rows that cannot
    be read, as far as that was checked, by number. parts: the sheets of a workbook. problems: what makes the whole
    file unusable, each with its line. remarks: what was decided about the file. error, hint: why nothing can be read;
    changed: because the file is another by now.
    """

    columns: tuple[str, ...] = ()
    count: int | None = None
    rows: tuple[FileRow, ...] = ()
    row_errors: dict[int, str] = {}
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


TABLE_REPLIES: FrameCodec[TableReply] = FrameCodec(TableReply)
"""This side's: packs requests, reads replies."""

TABLE_REQUESTS: FrameCodec[ReadRows] = FrameCodec(ReadRows)
"""The worker's side."""
