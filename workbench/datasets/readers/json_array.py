"""JSON: a list of objects of column and value, alone in its file or under a key of one object.

Several lists under keys are splits. While it is opened, the whole file is in memory; afterwards only where each object
begins. Values become text as in json_lines.py.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from workbench.datasets.file_snapshot import FileSnapshot, find_encoding_error
from workbench.datasets.readers.json_lines import decode_cells, find_constant, read_object
from workbench.datasets.source import DatasetRow, RowError
from workbench.errors import DatasetError

_LF = "\n"
_LARGEST = 1 << 30
_GAP = re.compile(rb"[\s,]*")
_KEY = re.compile(rb'[\s,]*"(?:[^"\\]|\\.)*"\s*:\s*')


class JsonList(NamedTuple):
    """A list of the file: its key ("" where the file is the list) and where its text lies."""

    key: str
    start: int
    stop: int


class JsonArraySource:
    """A source."""

    format = "json"
    unit = "line"
    blank_is_answer = True
    sound = False

    def __init__(self, content: FileSnapshot, part: JsonList) -> None:
        self.path = content.path
        self.columns: tuple[str, ...] = ()
        self.remarks: tuple[str, ...] = ()
        self.content = content
        self._part = part
        self._starts = array("Q")
        self._stops = array("Q")
        self._lines = array("Q")

    def scan(self) -> Iterator[DatasetRow | RowError]:
        self._starts, self._stops, self._lines = array("Q"), array("Q"), array("Q")
        known = dict.fromkeys(self.columns)
        base = self._part.start
        line = 1 + self.content.read(0, base).count(b"\n")
        text = self.content.read(base, self._part.stop)
        at, counted = 1, 0
        # msgspec gives each object as its bytes but not where they are: their lengths add up to the offsets
        for raw in msgspec.json.decode(text, type=list[msgspec.Raw]):
            start = _skip(_GAP, text, at)
            at = start + len(memoryview(raw))
            line += text.count(b"\n", counted, start)
            counted = start
            self._starts.append(base + start)
            self._stops.append(base + at)
            self._lines.append(line)
            row = read_object(line, bytes(raw))
            if isinstance(row, DatasetRow) and not row.cells.keys() <= known.keys():
                known.update(dict.fromkeys(row.cells))
                self.columns = tuple(known)
            yield row

    def rows(self, start: int, stop: int) -> Iterator[DatasetRow]:
        for index in range(start, stop):
            text = self.content.read(self._starts[index], self._stops[index])
            yield DatasetRow(self._lines[index], *decode_cells(text))

    @property
    def begin(self) -> int:
        """Where the list's text begins."""
        return self._part.start

    def extent(self, row: int) -> tuple[int, int]:
        """Where an object's text lies in the file, in bytes."""
        return self._starts[row], self._stops[row]

    def digest(self) -> str:
        return self.content.digest()

    def __len__(self) -> int:
        return len(self._starts)


def find_lists(content: FileSnapshot) -> tuple[JsonList, ...]:
    """The lists of objects that the file holds. Raises DatasetError with line and column when it is not JSON."""
    if content.size > _LARGEST:
        raise DatasetError(
            f"{content.path} is larger than {_LARGEST >> 20} MiB, which a JSON file is read in at once.",
            "Save it as JSON lines, an object a line.",
        )
    text = content.read(content.begin, content.size)
    try:
        text.decode()
        kind = text.lstrip()[:1]
        if kind == b"[":
            msgspec.json.decode(text, type=list[msgspec.Raw])
            start = content.begin + text.index(b"[")
            return (JsonList("", start, content.size),)
        values = msgspec.json.decode(text, type=dict[str, msgspec.Raw]) if text.strip() else {}
    except msgspec.ValidationError as error:
        raise DatasetError(f"{content.path} is not a list of objects: {error}.", _HINT) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DatasetError(f"{content.path} cannot be read:\n  {_locate(text)}") from error
    try:
        return tuple(_find_lists(text, values, content.begin))
    except ValueError as error:
        raise DatasetError(f"{content.path} cannot be read:\n  {error}") from error


_HINT = 'Expected [{"column": "value"}, ...], or such lists under keys.'


def _find_lists(text: bytes, values: dict[str, msgspec.Raw], base: int) -> Iterator[JsonList]:
    at = text.index(b"{") + 1 if values else 0
    for key, raw in values.items():
        start = _skip(_KEY, text, at)
        at = start + len(memoryview(raw))
        if text[start:at] != bytes(raw):
            raise ValueError(f"the key {key} is there twice")
        if re.match(rb"\[\s*\{", raw):
            yield JsonList(key, base + start, base + at)


def _skip(pattern: re.Pattern[bytes], text: bytes, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _locate(text: bytes) -> str:
    for number, line in enumerate(text.split(b"\n"), start=1):
        parse_error = find_encoding_error(line)
        if parse_error:
            return f"line {number}{parse_error}"
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f"line {error.lineno}, column {error.colno}: {error.msg}"
    except (ValueError, RecursionError) as error:
        return str(error)
    decoded = text.decode()
    at, words = find_constant(decoded)
    before = decoded[:at]
    return f"line {before.count(_LF) + 1}, column {at - before.rfind(_LF)}: {words}"
