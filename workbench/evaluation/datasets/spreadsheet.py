"""Spreadsheet: a sheet of an Excel workbook as a source, read by another process (native/).

Read once from beginning to end into a spool, for a sheet cannot be read from the middle.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from workbench.evaluation.datasets.content import Content
from workbench.evaluation.datasets.native.process import Hold, ask, describe_file
from workbench.evaluation.datasets.source import Fault, Row
from workbench.evaluation.datasets.spool import Spool

_AT_ONCE = 512


class Spreadsheet:
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
        self._content = Content(path)
        self._file = describe_file("xlsx", [path])
        self._spool = Spool()
        self._hold: Hold | None = Hold()
        self.sheets = ask(path, self._file).parts

    def choose(self, sheet: str) -> None:
        """Read this sheet from now on."""
        if sheet != self.sheets[0]:  # the first one is open already
            self._file = msgspec.structs.replace(self._file, sheet=sheet)

    def scan(self) -> Iterator[Row | Fault]:
        spool = self._spool = Spool()
        self._hold = self._hold or Hold()
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
                self._hold = None  # everything is in the spool
                return

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        return self._spool.rows(start, stop)

    def digest(self) -> str:
        return self._content.digest()

    def __len__(self) -> int:
        return len(self._spool)
