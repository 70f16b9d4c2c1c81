"""Detects how a CSV file separates its fields, by its first rows.

Nothing is guessed in silence: what differs from the usual is a remark.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from itertools import product
from typing import Literal, NamedTuple, TypedDict

from workbench.datasets.file_snapshot import FileSnapshot

_PEEK_BYTES = 256 << 10  # bytes
_MAX_ROWS = 200
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_DECLARED = re.compile(rb"sep=(.)\r?\n")  # Excel's own first line
MAX_FIELD_BYTES = 2**31 - 1  # a case may be a long document


class CsvFormat(TypedDict):
    """What csv.reader and csv.writer take."""

    delimiter: str
    skipinitialspace: bool
    escapechar: str | None
    strict: Literal[True]


class CsvDialect(NamedTuple):
    """start, line: where the header begins, as a place in the file and as the number of its line, from 1."""

    delimiter: str = ","
    skips_blanks: bool = False
    has_escapes: bool = False
    start: int = 0
    line: int = 1
    usual: str = ","

    @property
    def format(self) -> CsvFormat:
        return {
            "delimiter": self.delimiter,
            "skipinitialspace": self.skips_blanks,
            "escapechar": "\\" if self.has_escapes else None,
            "strict": True,
        }

    @property
    def remarks(self) -> tuple[str, ...]:
        """What differs from the usual, in words."""
        name = _NAMES.get(self.delimiter, repr(self.delimiter))
        message = [f"Fields are separated by {name}."] if self.delimiter != self.usual else []
        message += [f"Blanks after {name} are left out."] if self.skips_blanks else []
        message += [r"Quotes inside a field are written \"."] if self.has_escapes else []
        return tuple(message)


def detect_dialect(content: FileSnapshot, usual: str) -> CsvDialect:
    """The dialect of a file whose fields are usually separated by `usual`; of several that fit, the plainest."""
    head = content.read(content.begin, min(content.size, content.begin + _PEEK_BYTES))
    start, line = content.begin, 1
    choices = [usual, *(name for name in _NAMES if name != usual)] if usual == "," else [usual]
    if declared := _DECLARED.match(head):
        start, line = start + declared.end(), 2
        choices = [declared[1].decode("latin-1")]
        head = head[declared.end() :]
    rows = _cut(head, whole=start + len(head) >= content.size)
    best, most = CsvDialect(choices[0], start=start, line=line, usual=usual), 0.0
    for (escapes, skips), delimiter in product(((False, False), (False, True), (True, False), (True, True)), choices):
        tried = CsvDialect(delimiter, skips, escapes, start, line, usual)
        fit = _fit(rows, tried)
        if fit > most:
            best, most = tried, fit
        if fit == 1:
            break
    return best


def _cut(head: bytes, whole: bool) -> str:
    """The text without the line that the end of what was read cuts off."""
    text = head.decode(errors="replace")
    return text if whole else text.rpartition("\n")[0]


def _fit(text: str, dialect: CsvDialect) -> float:
    """The share of rows that have the header's columns; 0 where there is one column alone.

    A little less where a blank follows every delimiter of the header, as people write it by hand, and is kept.
    """
    rows = _read(text, dialect)
    if not rows or len(rows[0]) < 2:
        return 0.0
    width = len(rows[0])
    padded = not dialect.skips_blanks and all(name.startswith(" ") for name in rows[0][1:])
    fitting = sum(len(row) == width or (len(row) > width and not any(row[width:])) for row in rows)
    return fitting / len(rows) - (1e-6 if padded else 0.0)


def _read(text: str, dialect: CsvDialect) -> Sequence[list[str]]:
    csv.field_size_limit(MAX_FIELD_BYTES)
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), **dialect.format):
            if row:
                rows.append(row)
            if len(rows) == _MAX_ROWS:
                break
    except csv.Error:
        rows.append([])  # does not fit from here on
    return rows
