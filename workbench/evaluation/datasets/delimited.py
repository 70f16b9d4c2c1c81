"""CSV and TSV: a row of column names, then a row a case; read by where each row begins.

How fields are separated is dialect.py's. A row may span lines inside quotes. An empty cell is a value of a variable,
and no answer where it should be one. Empty columns at the end, which have no name, are left out and said.
"""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Iterator

from workbench.evaluation.datasets.content import Content, find_fault
from workbench.evaluation.datasets.dialect import LONGEST_FIELD, find_dialect
from workbench.evaluation.datasets.source import Fault, Row

_MOST_RESTARTS = 32  # each may read the rest of the file once more
_SAID = {"unexpected end of data": "a quote is opened and never closed"}
_AT_ONCE = 256  # rows read from the disk together


class Delimited:
    """A source."""

    unit = "line"
    blank_is_answer = False
    sound = False

    def __init__(self, content: Content, format: str, delimiter: str) -> None:
        self.path = content.path
        self.format = format
        self.dialect = find_dialect(content, delimiter)
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

    def scan(self) -> Iterator[Row | Fault]:
        csv.field_size_limit(LONGEST_FIELD)
        self._starts, self._lines = array("Q"), array("Q")
        self.columns, self._cut = (), 0
        text = _Text(self.content, self.dialect.start, self.dialect.line)
        for restart in range(_MOST_RESTARTS + 1):
            yield from self._scan_on(text)
            if not text.unclosed:
                return
            text = text.after_first_line()
            if restart == _MOST_RESTARTS:
                yield Fault(text.line, "too many quotes that never close; the rest was not read", whole=True)

    def _scan_on(self, text: _Text) -> Iterator[Row | Fault]:
        reader = csv.reader(text, **self.dialect.format)
        while True:
            text.begin_row()
            try:
                values = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if not self.columns:
                    yield text.fault(str(error))._replace(whole=True)
                    return
                text.unclosed = text.line > text.line_begun + 1  # the quote took in rows that may be sound
                yield self._note(text, text.fault(str(error)))
                if text.unclosed:
                    return
                continue
            if values and not self.columns:
                yield from self._take_header(values, text)
            elif values:
                yield self._note(text, self._read(text, values))

    def _read(self, text: _Text, values: list[str]) -> Row | Fault:
        if text.encoding_fault:
            return Fault(text.line_begun, text.encoding_fault)
        width = len(self.columns)
        if len(values) < width or any(values[width:]):
            return Fault(text.line_begun, f"{len(values)} columns, but the header has {width}")
        self._cut += len(values) > width
        return Row(text.line_begun, self._make_cells(values))

    def _make_cells(self, values: list[str]) -> dict[str, str]:
        return dict(zip(self.columns, values, strict=False))

    def _take_header(self, values: list[str], text: _Text) -> Iterator[Fault]:
        """Column names without the blanks around them; those without a name get one, but for the last."""
        names = [name.strip() for name in values]
        while names and not names[-1]:
            names.pop()
        unnamed = [at for at, name in enumerate(names) if not name]
        called = {at: _free_name(f"column {at + 1}", names) for at in unnamed}
        self.columns = tuple(called.get(at, name) for at, name in enumerate(names))
        self._header_remarks = tuple(f'Column {at + 1} has no name; it is called "{called[at]}".' for at in unnamed)
        if text.encoding_fault:
            yield Fault(text.line_begun, text.encoding_fault, whole=True)
        if not names:
            yield Fault(text.line_begun, "no column has a name", whole=True)
        for at, name in enumerate(names):
            if name and name in names[:at]:
                yield Fault(text.line_begun, f"two columns are named {name}", whole=True)

    def _note(self, text: _Text, row: Row | Fault) -> Row | Fault:
        self._starts.append(text.begun)
        self._lines.append(text.line_begun)
        return row

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        for first in range(start, stop, _AT_ONCE):
            last = min(first + _AT_ONCE, stop)
            base = self._starts[first]
            block = self.content.read(base, self._end(last - 1))
            for index in range(first, last):
                text = block[self._starts[index] - base : self._end(index) - base].decode()
                values = next(csv.reader(io.StringIO(text, newline=""), **self.dialect.format))
                yield Row(self._lines[index], self._make_cells(values))

    def extent(self, row: int) -> tuple[int, int]:
        """Where a row lies in the file, in bytes, with the blank lines after it."""
        return self._starts[row], self._end(row)

    def digest(self) -> str:
        return self.content.digest()

    def __len__(self) -> int:
        return len(self._starts)

    def _end(self, index: int) -> int:
        return self._starts[index + 1] if index + 1 < len(self._starts) else self.content.size


class _Text:
    """The lines of a file from a place on, handed to the reader; remembers where the row under way began."""

    def __init__(self, content: Content, start: int, line: int) -> None:
        self.content = content
        self._lines = self._split(content.lines(start))
        self.at, self.line = start, line
        self.begun, self.line_begun, self.encoding_fault = start, line, ""
        self.unclosed = False

    def begin_row(self) -> None:
        self.begun, self.line_begun, self.encoding_fault = self.at, self.line, ""

    def fault(self, message: str) -> Fault:
        message = _SAID.get(message, message)
        last = self.line - 1
        where = f" (read up to line {last})" if last > self.line_begun else ""
        return Fault(self.line_begun, self.encoding_fault or message + where)

    def after_first_line(self) -> _Text:
        """From the second line of the row under way on."""
        first = next(self.content.lines(self.begun))
        return _Text(self.content, self.begun + len(first), self.line_begun + 1)

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
                    self.encoding_fault = self.encoding_fault or find_fault(held)
                self.at += len(held)
                self.line += 1
                yield piece


def _free_name(name: str, taken: list[str]) -> str:
    while name in taken:
        name += "_"
    return name
