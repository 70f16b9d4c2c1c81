"""JSON lines: one object of column and value a line; read by where each line begins.

Values that are not strings become their JSON text, exactly as written; null is the same as no value.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator
from pathlib import Path

import msgspec

from workbench.datasets.file_snapshot import FileSnapshot, find_encoding_error
from workbench.datasets.registry import FileSplits, reader
from workbench.datasets.source import DatasetRow, RowError

_AT_ONCE = 256  # rows read from the disk together


class JsonLinesSource:
    """A source."""

    format = "jsonl"
    unit = "line"
    blank_is_answer = True
    sound = False

    def __init__(self, content: FileSnapshot) -> None:
        self.path = content.path
        self.columns: tuple[str, ...] = ()
        self.remarks: tuple[str, ...] = ()
        self.content = content
        self._starts = array("Q")
        self._lines = array("Q")
        self._reached = content.size  # less while the scan was left early, for the first so many rows

    def scan(self) -> Iterator[DatasetRow | RowError]:
        content, known = self.content, dict.fromkeys(self.columns)
        self._starts, self._lines = array("Q"), array("Q")
        start = content.begin
        for number, line in enumerate(content.lines(start), start=1):
            self._reached = start + len(line)
            if not line.isspace():
                self._starts.append(start)
                self._lines.append(number)
                row = read_object(number, line)
                if isinstance(row, DatasetRow) and not row.cells.keys() <= known.keys():
                    known.update(dict.fromkeys(row.cells))
                    self.columns = tuple(known)
                yield row
            start += len(line)
        self._reached = content.size

    def rows(self, start: int, stop: int) -> Iterator[DatasetRow]:
        for first in range(start, stop, _AT_ONCE):
            last = min(first + _AT_ONCE, stop)
            base = self._starts[first]
            block = self.content.read(base, self._end(last - 1))
            for index in range(first, last):
                line = block[self._starts[index] - base : self._end(index) - base]
                yield DatasetRow(self._lines[index], *decode_cells(line))

    def extent(self, row: int) -> tuple[int, int]:
        """Where a row lies in the file, in bytes, with the blank lines after it."""
        return self._starts[row], self._end(row)

    def digest(self) -> str:
        return self.content.digest()

    def __len__(self) -> int:
        return len(self._starts)

    def _end(self, index: int) -> int:
        """Where the row ends; what follows it is blank."""
        return self._starts[index + 1] if index + 1 < len(self._starts) else self._reached


_NONE: frozenset[str] = frozenset()
_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|(NaN|-?Infinity)')
_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_object(line: int, text: bytes) -> DatasetRow | RowError:
    """A row from the text of one JSON object."""
    try:
        if not text.isascii():
            text.decode()  # the decoder looks into no value, and so would let pass what is no text
        return DatasetRow(line, *decode_cells(text))
    except msgspec.ValidationError as error:
        return RowError(line, f"{error}; each line is one object of column and value")
    except RecursionError:
        return RowError(line, "nested too deeply")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return RowError(line, find_encoding_error(text) or explain(text.decode(), error))


def decode_cells(text: bytes) -> tuple[dict[str, str], frozenset[str]]:
    """The object's values as text, and the names of those that are no strings.

    Raises msgspec.DecodeError or ValidationError when it is no object.
    """
    cells: dict[str, str] = {}
    typed: list[str] = []
    for column, raw in _DECODER.decode(text).items():
        value = bytes(raw)
        if value[:1] == b'"':
            # most strings hold nothing escaped and can be taken as they stand
            cells[column] = value[1:-1].decode() if b"\\" not in value else msgspec.json.decode(value, type=str)
        elif value != b"null":
            cells[column] = value.decode()
            typed.append(column)
    return cells, frozenset(typed) if typed else _NONE


def explain(text: str, error: Exception) -> str:
    """What is wrong with a line, and at which character, in the words of Python's own reader where it agrees."""
    try:
        json.loads(text.rstrip())
    except json.JSONDecodeError as parse_error:
        return f", column {parse_error.colno}: {parse_error.msg}"
    except (ValueError, RecursionError) as parse_error:
        return f", {parse_error}"
    at, words = find_constant(text)
    return f", column {at + 1}: {words}" if at >= 0 else f", {error}"


def find_constant(text: str) -> tuple[int, str]:
    """Where JSON that Python alone reads holds NaN or Infinity, with what to do about it; -1 where it does not."""
    found = next((found for found in _CONSTANT.finditer(text) if found[1]), None)
    return (found.start(), f"{found[0]} is not JSON; write null for no value") if found else (-1, "no JSON")


@reader("jsonl", ".jsonl", ".ndjson")
def open_json_lines(path: Path) -> FileSplits:
    return FileSplits.whole(JsonLinesSource(FileSnapshot(path)))
