"""Spreadsheet: a sheet of an Excel workbook as a source, read by another process (native/).

Read once from beginning to end into a spool, for a sheet cannot be read from the middle.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.evaluation.datasets.content import Content
from workbench.evaluation.datasets.native.process import ask, describe_file
from workbench.evaluation.datasets.source import Fault, Row
from workbench.evaluation.datasets.spool import Spool

_AT_ONCE = 512


class Spreadsheet:
    """A source."""

    format = "xlsx"
    unit = "row"
    blank_is_answer = True
    sound = False

    def __init__(self, path: Path, sheet: str) -> None:
        self.path = path
        self.columns: tuple[str, ...] = ()
        self.remarks: tuple[str, ...] = ()
        self._content = Content(path)
        self._file = describe_file("xlsx", [path], sheet)
        self._spool = Spool()

    def scan(self) -> Iterator[Row | Fault]:
        spool = self._spool = Spool()
        told = 0
        while True:
            reply = ask(self.path, self._file, len(spool), len(spool) + _AT_ONCE)
            self.columns, self.remarks = reply.columns, reply.remarks
            for line, message in reply.problems[told:]:
                yield Fault(line, message, whole=True)
            told = len(reply.problems)
            for found in reply.rows:
                row = Row(found.line, found.cells, found.typed)
                spool.put(row)
                yield Fault(found.line, found.problem) if found.problem else row
            if not reply.rows:
                return

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        return self._spool.rows(start, stop)

    def digest(self) -> str:
        return self._content.digest()

    def __len__(self) -> int:
        return len(self._spool)


def list_sheets(path: Path) -> tuple[str, ...]:
    """The names of the sheets. Raises DatasetError when the file is no workbook."""
    Content(path)
    return ask(path, describe_file("xlsx", [path])).parts
