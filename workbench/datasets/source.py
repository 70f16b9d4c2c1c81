"""Row sources: the rows of one opened file, whatever its format (readers/), and what is wrong with them."""

from __future__ import annotations

import hashlib
import tempfile
import threading
import weakref
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from workbench.errors import DatasetError

_BUFFER = 1 << 20
_MAX_SHOWN = 8  # problems told one by one; the rest is a number


class DatasetRow(NamedTuple):
    """line: where it begins, from 1. cells: column -> text; a column without a value is not there. typed: the columns
    whose text is JSON of a value that is not text: a number, a truth value, a list or an object."""

    line: int
    cells: dict[str, str]
    typed: frozenset[str] = frozenset()


class RowError(NamedTuple):
    """A row that cannot be read, at its line; whole: the error concerns the file, so that no row can be trusted."""

    line: int
    message: str
    whole: bool = False


class RowSource(Protocol):
    """Rows numbered from 0, one with an error included.

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

    def scan(self) -> Iterator[DatasetRow | RowError]:
        """Every row from the first, and what is wrong with the file."""

    def rows(self, start: int, stop: int) -> Iterator[DatasetRow]:
        """Rows that were sound when they were scanned. Raises DatasetError when the file has changed since."""

    def __len__(self) -> int: ...

    def digest(self) -> str:
        """The fingerprint of the content, as files.digest gives it for a single file."""


class RowProblems:
    """What is wrong with a file: the first few in words, the others as a number."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._noted: dict[str, list[tuple[int, str]]] = {}
        self._counts: dict[str, int] = {}

    def add(self, line: int, message: str, about: str = "") -> None:
        """Note a problem; line 0 is the file as a whole. about: a name by which it can be taken back."""
        self._counts[about] = self._counts.get(about, 0) + 1
        noted = self._noted.setdefault(about, [])
        if len(noted) < _MAX_SHOWN:
            noted.append((line, message))

    def forget(self, about: str) -> None:
        """Take back what was noted under a name."""
        self._counts.pop(about, None)
        self._noted.pop(about, None)

    def joined(self, other: RowProblems) -> RowProblems:
        """These and the others."""
        both = RowProblems(self._unit)
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
        more = self.count - min(len(noted), _MAX_SHOWN)
        text = [self._format(line, message) for line, message in noted[:_MAX_SHOWN]]
        return (*text, *([f"... and {more} more"] if more else []))

    def error(self, path: Path, hint: str = "") -> DatasetError:
        """All of them, as one error."""
        return DatasetError(f"{path} cannot be read:\n" + "\n".join(f"  {line}" for line in self.lines()), hint)

    def _format(self, line: int, message: str) -> str:
        separator = "" if message.startswith(", ") else ": "
        return f"{self._unit} {line}{separator}{message}" if line else message


class RowCache:
    """Rows kept in a temporary file, for formats of which a single row cannot be read again.

    The file has no name and vanishes with the process.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=_BUFFER)  # noqa: SIM115 - lives as long as the spool
        weakref.finalize(self, self._file.close)
        self._lock = threading.Lock()
        self._stops = array("Q", [0])
        self._lines = array("Q")
        self._decoder = msgspec.json.Decoder(tuple[dict[str, str], frozenset[str]])

    def put(self, row: DatasetRow) -> None:
        """Keep a row, as the last one."""
        text = msgspec.json.encode((row.cells, row.typed))
        self._file.write(text)
        self._stops.append(self._stops[-1] + len(text))
        self._lines.append(row.line)

    def rows(self, start: int, stop: int) -> Iterator[DatasetRow]:
        """The rows from start up to stop, numbered from 0."""
        for index in range(start, stop):
            with self._lock:
                self._file.seek(self._stops[index])
                text = self._file.read(self._stops[index + 1] - self._stops[index])
            yield DatasetRow(self._lines[index], *self._decoder.decode(text))

    def __len__(self) -> int:
        return len(self._lines)


class ConcatenatedSource:
    """The shards of one dataset, read as one source.

    Only for files whose rows are known before a scan. An error in a row names its shard.
    """

    unit = "row"

    def __init__(self, path: Path, shards: Sequence[RowSource]) -> None:
        self.path = path
        self.format = shards[0].format
        self.blank_is_answer = shards[0].blank_is_answer
        self.columns = tuple(dict.fromkeys(column for shard in shards for column in shard.columns))
        self.remarks = tuple(dict.fromkeys(remark for shard in shards for remark in shard.remarks))
        self.sound = all(shard.sound for shard in shards)
        self._shards = shards
        self._begins = [0, *accumulate(len(shard) for shard in shards)]

    def scan(self) -> Iterator[DatasetRow | RowError]:
        for begin, shard in zip(self._begins, self._shards, strict=False):
            for number, item in enumerate(shard.scan(), start=begin + 1):
                if isinstance(item, RowError):
                    yield item._replace(line=number, message=f"{shard.path.name}, row {item.line}: {item.message}")
                else:
                    yield item._replace(line=number)

    def rows(self, start: int, stop: int) -> Iterator[DatasetRow]:
        while start < stop:
            at = bisect_right(self._begins, start) - 1
            begin, end = self._begins[at], min(self._begins[at + 1], stop)
            for number, row in enumerate(self._shards[at].rows(start - begin, end - begin), start=start + 1):
                yield DatasetRow(number, row.cells, row.typed)
            start = end

    def digest(self) -> str:
        joined = "".join(shard.digest() for shard in self._shards)
        return hashlib.blake2b(joined.encode(), digest_size=16).hexdigest()

    def __len__(self) -> int:
        return self._begins[-1]
