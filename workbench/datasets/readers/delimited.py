"""CSV and TSV: a row of column names, then a row a case; read by where each row begins.

A row may span lines inside quotes. An empty cell is a value of a variable, and no answer where it should be one. Empty
columns at the end, which have no name, are left out with a remark.
"""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Iterator
from pathlib import Path

from workbench.datasets.file_snapshot import FileSnapshot, find_encoding_error
from workbench.datasets.readers.csv_dialect import MAX_FIELD_BYTES, detect_dialect
from workbench.datasets.registry import FileSplits, reader
from workbench.datasets.source import DatasetRow, RowError
from workbench.units import format_plural

_MOST_RESTARTS = 32  # each may read the rest of the file once more
_MESSAGES = {"unexpected end of data": "a quote is opened and never closed"}
_AT_ONCE = 256  # rows read from the disk together


class DelimitedSource:
    """A source."""

    unit = "line"
    blank_is_answer = False
    sound = False

    def __init__(self, content: FileSnapshot, format: str, delimiter: str) -> None:
        self.path = content.path
        self.format = format
        self.dialect = detect_dialect(content, delimiter)
        self.columns: tuple[str, ...] = ()
        self.content = content
        self._cut = 0  # rows with empty columns beyond the last name
        self._header_remarks: tuple[str, ...] = ()
        self._starts = array("Q")
        self._lines = array("Q")

    @property
    def remarks(self) -> tuple[str, ...]:
        rows = f"{self._cut:,} rows end in" if self._cut != 1 else "1 row ends in"
        cut = f"{rows} empty columns without a name; these are left out."
        return (*self.dialect.remarks, *self._header_remarks, *([cut] if self._cut else []))

    def scan(self) -> Iterator[DatasetRow | RowError]:
        csv.field_size_limit(MAX_FIELD_BYTES)
        self._starts, self._lines = array("Q"), array("Q")
        self.columns, self._cut = (), 0
        text = _LineFeed(self.content, self.dialect.start, self.dialect.line)
        # A quote that never closes takes in the rest of the file, sound rows too: the scan resumes one line after it.
        # Bounded, or a file of nothing but quotes would be read once for every line.
        for restart in range(_MOST_RESTARTS + 1):
            yield from self._scan_on(text)
            if not text.unclosed:
                return
            text = text.after_first_line()
            if restart == _MOST_RESTARTS:
                yield RowError(text.line, "too many quotes that never close; the rest was not read", whole=True)

    def _scan_on(self, text: _LineFeed) -> Iterator[DatasetRow | RowError]:
        reader = csv.reader(text, **self.dialect.format)
        while True:
            text.begin_row()
            try:
                values = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if not self.columns:
                    yield text.parse_error(str(error))._replace(whole=True)
                    return
                text.unclosed = text.line > text.line_begun + 1  # the quote took in rows that may be sound
                yield self._note(text, text.parse_error(str(error)))
                if text.unclosed:
                    return
                continue
            if values and not self.columns:
                yield from self._take_header(values, text)
            elif values:
                yield self._note(text, self._read(text, values))

    def _read(self, text: _LineFeed, values: list[str]) -> DatasetRow | RowError:
        if text.encoding_error:
            return RowError(text.line_begun, text.encoding_error)
        width = len(self.columns)
        if len(values) < width or any(values[width:]):
            return RowError(text.line_begun, f"{format_plural(len(values), 'column')}, but the header has {width}")
        self._cut += len(values) > width
        return DatasetRow(text.line_begun, self._make_cells(values))

    def _make_cells(self, values: list[str]) -> dict[str, str]:
        return dict(zip(self.columns, values, strict=False))

    def _take_header(self, values: list[str], text: _LineFeed) -> Iterator[RowError]:
        """Column names without the blanks around them; those without a name get one, but for the last."""
        names = [name.strip() for name in values]
        while names and not names[-1]:
            names.pop()
        unnamed = [at for at, name in enumerate(names) if not name]
        called = {at: _free_name(f"column {at + 1}", names) for at in unnamed}
        self.columns = tuple(called.get(at, name) for at, name in enumerate(names))
        self._header_remarks = tuple(f'Column {at + 1} has no name; it is called "{called[at]}".' for at in unnamed)
        if text.encoding_error:
            yield RowError(text.line_begun, text.encoding_error, whole=True)
        if not names:
            yield RowError(text.line_begun, "no column has a name", whole=True)
        for at, name in enumerate(names):
            if name and name in names[:at]:
                yield RowError(text.line_begun, f"two columns are named {name}", whole=True)

    def _note(self, text: _LineFeed, row: DatasetRow | RowError) -> DatasetRow | RowError:
        self._starts.append(text.begun)
        self._lines.append(text.line_begun)
        return row

    def rows(self, start: int, stop: int) -> Iterator[DatasetRow]:
        for first in range(start, stop, _AT_ONCE):
            last = min(first + _AT_ONCE, stop)
            base = self._starts[first]
            block = self.content.read(base, self._end(last - 1))
            for index in range(first, last):
                text = block[self._starts[index] - base : self._end(index) - base].decode()
                values = next(csv.reader(io.StringIO(text, newline=""), **self.dialect.format))
                yield DatasetRow(self._lines[index], self._make_cells(values))

    def extent(self, row: int) -> tuple[int, int]:
        """Where a row lies in the file, in bytes, with the blank lines after it."""
        return self._starts[row], self._end(row)

    def digest(self) -> str:
        return self.content.digest()

    def __len__(self) -> int:
        return len(self._starts)

    def _end(self, index: int) -> int:
        return self._starts[index + 1] if index + 1 < len(self._starts) else self.content.size


class _LineFeed:
    """The lines of a file from a place on, handed to the reader; remembers where the row under way began."""

    def __init__(self, content: FileSnapshot, start: int, line: int) -> None:
        self.content = content
        self._lines = self._split(content.lines(start))
        self.at, self.line = start, line
        self.begun, self.line_begun, self.encoding_error = start, line, ""
        self.unclosed = False

    def begin_row(self) -> None:
        self.begun, self.line_begun, self.encoding_error = self.at, self.line, ""

    def parse_error(self, message: str) -> RowError:
        message = _MESSAGES.get(message, message)
        last = self.line - 1
        where = f" (read up to line {last})" if last > self.line_begun else ""
        return RowError(self.line_begun, self.encoding_error or message + where)

    def after_first_line(self) -> _LineFeed:
        """From the second line of the row under way on."""
        first = next(self.content.lines(self.begun))
        return _LineFeed(self.content, self.begun + len(first), self.line_begun + 1)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return next(self._lines)

    def _split(self, lines: Iterator[bytes]) -> Iterator[str]:
        for raw in lines:
            text = raw.decode(errors="surrogateescape")
            # a lone carriage return ends a line as well
            for piece in io.StringIO(text, newline="") if "\r" in text.removesuffix("\r\n") else (text,):
                held = raw if piece is text else piece.encode(errors="surrogateescape")
                if not piece.isascii():
                    self.encoding_error = self.encoding_error or find_encoding_error(held)
                self.at += len(held)
                self.line += 1
                yield piece


def _free_name(name: str, taken: list[str]) -> str:
    while name in taken:
        name += "_"
    return name


@reader("csv", ".csv")
def open_csv(path: Path) -> FileSplits:
    return FileSplits.whole(DelimitedSource(FileSnapshot(path), "csv", ","))


@reader("tsv", ".tsv")
def open_tsv(path: Path) -> FileSplits:
    return FileSplits.whole(DelimitedSource(FileSnapshot(path), "tsv", "\t"))
