"""Source: the rows of one opened file, whatever its format; each format has a module that makes one.

Knows nothing of what columns mean (layouts.py) or of which rows are wanted (selection.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from workbench.errors import DatasetError

_SHOWN = 8  # problems told one by one; the rest is a number


class Row(NamedTuple):
    """line: where it begins, from 1. cells: column -> text; a column without a value is not there. typed: the columns
    whose text is JSON of a value that is not text: a number, a truth value, a list or an object."""

    line: int
    cells: dict[str, str]
    typed: frozenset[str] = frozenset()


class Fault(NamedTuple):
    """A row that cannot be read, at its line; whole: the fault concerns the file, so that no row can be trusted."""

    line: int
    message: str
    whole: bool = False


class Source(Protocol):
    """Rows numbered from 0, a faulty one included.

    format: as a bench names it. unit: what `line` counts. columns: those seen so far, in order.
    blank_is_answer: whether "" in a cell is a value. sound: every row can be read, and their number is known, before
    a scan; otherwise `rows` and the length need a scan first, as far as it went. remarks: what was decided about the
    file that its reader should know, as far as it was scanned.
    """

    path: Path
    format: str
    unit: str
    blank_is_answer: bool
    sound: bool

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def remarks(self) -> tuple[str, ...]: ...

    def scan(self) -> Iterator[Row | Fault]:
        """Every row from the first, and what is wrong with the file."""

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        """Rows that were sound when they were scanned. Raises DatasetError when the file has changed since."""

    def __len__(self) -> int: ...

    def digest(self) -> str:
        """The fingerprint of the content, as files.digest gives it for a single file."""


class Problems:
    """What is wrong with a file: the first few in words, the others as a number."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._noted: dict[str, list[tuple[int, str]]] = {}
        self._counts: dict[str, int] = {}

    def add(self, line: int, message: str, about: str = "") -> None:
        """Note a problem; line 0 is the file as a whole. about: a name by which it can be taken back."""
        self._counts[about] = self._counts.get(about, 0) + 1
        noted = self._noted.setdefault(about, [])
        if len(noted) < _SHOWN:
            noted.append((line, message))

    def forget(self, about: str) -> None:
        """Take back what was noted under a name."""
        self._counts.pop(about, None)
        self._noted.pop(about, None)

    def joined(self, other: Problems) -> Problems:
        """These and the others."""
        both = Problems(self._unit)
        for about in dict.fromkeys((*self._noted, *other._noted)):
            both._noted[about] = self._noted.get(about, []) + other._noted.get(about, [])
            both._counts[about] = self._counts.get(about, 0) + other._counts.get(about, 0)
        return both

    @property
    def count(self) -> int:
        return sum(self._counts.values())

    def lines(self) -> tuple[str, ...]:
        """The problems in words, by line, and the number of those left out."""
        noted = sorted((item for items in self._noted.values() for item in items), key=lambda item: item[0])
        more = self.count - min(len(noted), _SHOWN)
        told = [self._tell(line, message) for line, message in noted[:_SHOWN]]
        return (*told, *([f"... and {more} more"] if more else []))

    def error(self, path: Path, hint: str = "") -> DatasetError:
        """All of them, as one error."""
        return DatasetError(f"{path} cannot be read:\n" + "\n".join(f"  {line}" for line in self.lines()), hint)

    def _tell(self, line: int, message: str) -> str:
        separator = "" if message.startswith(", ") else ": "
        return f"{self._unit} {line}{separator}{message}" if line else message
