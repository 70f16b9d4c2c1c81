"""Sheets of Excel workbooks, read by another process (native/).

A sheet cannot be read from the middle: it is read once, from beginning to end, into a row cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from workbench.datasets.file_snapshot import FileSnapshot
from workbench.datasets.native.worker import KeepAlive, describe_file, query
from workbench.datasets.registry import FileSplits, reader
from workbench.datasets.source import DatasetRow, RowCache, RowError, RowSource
from workbench.errors import DatasetError

_AT_ONCE = 512


class SpreadsheetSource:
    """A source. sheets: the names of all that there are; the first one is read if no other is chosen."""

    format = "xlsx"
    unit = "row"
    blank_is_answer = True
    sound = False

    def __init__(self, path: Path) -> None:
        """Raises DatasetError when the file is no workbook."""
        self.path = path
        self.columns: tuple[str, ...] = ()
        self.remarks: tuple[str, ...] = ()
        self._content = FileSnapshot(path)
        self._file = describe_file("xlsx", [path])
        self._cache = RowCache()
        self._hold: KeepAlive | None = KeepAlive()
        self.sheets = query(path, self._file).parts

    def choose(self, sheet: str) -> None:
        """Read this sheet from now on."""
        if sheet != self.sheets[0]:  # the first one is open already
            self._file = msgspec.structs.replace(self._file, sheet=sheet)

    def scan(self) -> Iterator[DatasetRow | RowError]:
        cache = self._cache = RowCache()
        self._hold = self._hold or KeepAlive()
        text = 0
        while True:
            reply = query(self.path, self._file, len(cache), len(cache) + _AT_ONCE)
            self.columns, self.remarks = reply.columns, reply.remarks
            for line, message in reply.problems[text:]:
                yield RowError(line, message, whole=True)
            text = len(reply.problems)
            for found in reply.rows:
                row = DatasetRow(found.line, found.cells, found.typed)
                cache.put(row)
                yield RowError(found.line, found.problem) if found.problem else row
            if not reply.rows:
                self._hold = None  # everything is in the cache
                return

    def rows(self, start: int, stop: int) -> Iterator[DatasetRow]:
        return self._cache.rows(start, stop)

    def digest(self) -> str:
        return self._content.digest()

    def __len__(self) -> int:
        return len(self._cache)


@reader("xlsx", ".xlsx")
def open_workbook(path: Path) -> FileSplits:
    """Each sheet is a split; the first one is read if none is named."""
    book = SpreadsheetSource(path)
    if not book.sheets:
        raise DatasetError(f"{path} has no sheet.", "Save a workbook with one.")

    def open_sheet(name: str) -> RowSource:
        book.choose(name)
        return book

    return FileSplits(open_sheet, book.sheets, book.sheets[0])
