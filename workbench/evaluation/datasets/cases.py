"""Cases: the rows of a dataset that a bench wants, in order, read when they are looked at.

Knows nothing of formats (opening.py) or of what columns mean (reading.py). Kept in memory is where rows are, not what
they hold.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, overload

from workbench.errors import DatasetError
from workbench.evaluation.bench import Dataset
from workbench.evaluation.datasets.case import Case
from workbench.evaluation.datasets.opening import Opened, open_source
from workbench.evaluation.datasets.reading import LackError, Reader, choose_layout, describe_missing
from workbench.evaluation.datasets.selection import draw, make_filter
from workbench.evaluation.datasets.source import Fault, Problems, Row, Source

PEEKED = 50  # rows by which a layout is recognised
_AT_ONCE = 512
_SKIP_HINT = "Correct these, or leave such rows out with `on_error: skip` in the bench's dataset."


class Cases(Sequence[Case]):
    """Immutable; safe to be read by several threads.

    columns: of the file. format, layout: as a bench names them. splits, split: those there are, and this one.
    skipped: rows that could not be read and were left out; notes: what was wrong with them.
    """

    def __init__(self, source: Source, reader: Reader, opened: Opened, chosen: Sequence[int], skips: Problems) -> None:
        self.source = source
        self.reader = reader
        self._chosen = chosen
        self._opened = opened
        self._skips = skips
        self._digest = ""

    @property
    def path(self) -> Path:
        return self.source.path

    @property
    def format(self) -> str:
        return self.source.format

    @property
    def layout(self) -> str:
        return self.reader.layout

    @property
    def columns(self) -> tuple[str, ...]:
        return self.source.columns

    @property
    def splits(self) -> tuple[str, ...]:
        return self._opened.splits

    @property
    def split(self) -> str:
        return self._opened.split

    @property
    def skipped(self) -> int:
        return self._skips.count

    @property
    def notes(self) -> tuple[str, ...]:
        return self._skips.lines()

    @property
    def digest(self) -> str:
        """The fingerprint of the whole content, whichever rows are wanted."""
        self._digest = self._digest or self.source.digest()
        return self._digest

    @property
    def left_out(self) -> tuple[str, ...]:
        """What of the file no case holds, in words: rows that cannot be read, and what no case uses of the others."""
        if not self.skipped:
            return self.reader.remarks
        rows = f"{self.skipped:,} rows cannot be read and are" if self.skipped > 1 else "1 row cannot be read and is"
        return (f"{rows} left out of the dataset; first {self.notes[0]}.", *self.reader.remarks)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was decided about the file, and about its rows as far as they were read."""
        return (*self.source.remarks, *self.reader.remarks)

    @property
    def numbers(self) -> Sequence[int]:
        """The case numbers, in order."""
        if isinstance(self._chosen, range):
            return range(self._chosen.start + 1, self._chosen.stop + 1, self._chosen.step)
        return [row + 1 for row in self._chosen]

    def rows(self) -> Iterator[Row]:
        """The rows as the file holds them."""
        for at in range(0, len(self), _AT_ONCE):
            yield from (row for _, row in _read_rows(self.source, self._chosen[at : at + _AT_ONCE]))

    def place(self, number: int) -> int:
        """Where the case of that number stands, or the first one after it; the length where there is none."""
        return bisect_left(self._chosen, number - 1)

    def nearest(self, number: int, forward: bool) -> int:
        """The case number, or the next one there is in that direction, or else the outermost."""
        place = self.place(number)
        exact = place < len(self) and self._chosen[place] == number - 1
        place = place if exact or forward else place - 1
        return self._chosen[max(0, min(place, len(self) - 1))] + 1

    def find(self, number: int) -> Case | None:
        """The case of that number; None where it is not among these."""
        place = self.place(number)
        found = place < len(self) and self._chosen[place] == number - 1
        return self[place] if found else None

    def __len__(self) -> int:
        return len(self._chosen)

    @overload
    def __getitem__(self, index: int) -> Case: ...
    @overload
    def __getitem__(self, index: slice) -> Cases: ...
    def __getitem__(self, index: int | slice) -> Case | Cases:
        if isinstance(index, slice):
            return Cases(self.source, self.reader, self._opened, self._chosen[index], self._skips)
        row = self._chosen[index]
        return self._read(row, next(iter(self.source.rows(row, row + 1))))

    def __iter__(self) -> Iterator[Case]:
        for at in range(0, len(self._chosen), _AT_ONCE):
            wanted = self._chosen[at : at + _AT_ONCE]
            for row, found in _read_rows(self.source, wanted):
                yield self._read(row, found)

    def _read(self, row: int, found: Row) -> Case:
        return self.reader.read(row + 1, found)


def load_cases(dataset: Dataset, folder: Path) -> Cases:
    """The dataset's rows, in order.

    folder: the bench's folder, from which a relative path is looked up first.
    Values that are not strings become their JSON text, exactly as written; null is the same as no value. In a CSV file
    an empty expected answer is no answer. With a `limit` and no `sample` nothing beyond the last wanted row is read.
    Raises FileError when there is no such file, and DatasetError when it is empty or rows cannot be read, with their
    lines.
    """
    opened = open_source(dataset, folder)
    source = opened.source
    scan = Scan.begin(dataset, source)
    chosen = _choose_rows(dataset, source, scan)
    found = source.sound or len(source) or scan.problems.count
    _refuse(dataset, source, scan)
    if not found or not len(source):
        raise DatasetError(f"{source.path} has no rows.", "Add one case a line, or take another file.")
    if not chosen and not scan.skips.count:
        raise DatasetError(f"{source.path} has no row with {_tell_where(dataset)}.", "Change `where` in the bench.")
    if not chosen:
        raise scan.skips.error(source.path, "No row is left.")
    return Cases(source, scan.reader, opened, draw(dataset, chosen), scan.skips)


class Scan(NamedTuple):
    """A source at the beginning of its first reading, with what its first rows say.

    problems: what makes the file unusable. skips: what is wrong with rows that may be left out.
    """

    rows: Iterator[Row | Fault]
    reader: Reader
    problems: Problems
    skips: Problems

    @classmethod
    def begin(cls, dataset: Dataset, source: Source) -> Scan:
        rows = source.scan()
        first = list(islice(rows, PEEKED))
        cells = [row.cells for row in first if isinstance(row, Row)]
        columns = tuple(dict.fromkeys((*source.columns, *(column for row in cells for column in row))))
        layout = choose_layout(dataset, columns, cells, str(source.path))
        reader = Reader(dataset, layout, source.blank_is_answer)
        return cls(chain(first, rows), reader, Problems(source.unit), Problems(source.unit))


def _choose_rows(dataset: Dataset, source: Source, scan: Scan) -> Sequence[int]:
    wants = make_filter(dataset, source.blank_is_answer)
    most = dataset.limit if dataset.sample is None and dataset.limit is not None else None
    if source.sound and not wants and not scan.reader.checks:
        return range(len(source))
    chosen, row = array("Q"), -1
    for item in scan.rows:
        if isinstance(item, Fault) and item.whole:
            scan.problems.add(item.line, item.message)
            continue
        row += 1
        if isinstance(item, Fault):
            scan.skips.add(item.line, item.message)
        elif (not wants or wants(item)) and (not scan.reader.checks or is_case(item, scan)):
            chosen.append(row)
            if len(chosen) == most:
                break
    return range(row + 1) if len(chosen) == row + 1 else chosen


def is_case(row: Row, scan: Scan) -> bool:
    """Whether a row can be used; if not, why is noted in the scan."""
    try:
        scan.reader.check(row)
    except LackError as error:
        scan.skips.add(row.line, str(error), error.column)
        return False
    except ValueError as error:
        scan.skips.add(row.line, str(error))
        return False
    return True


def _refuse(dataset: Dataset, source: Source, scan: Scan) -> None:
    """Raise what is wrong with the file: columns it does not have, and rows unless they may be left out."""
    known = {*source.columns, *scan.reader.offered}
    for column in dict.fromkeys((*scan.reader.wanted, *dataset.where)):
        if known and column not in known:
            scan.skips.forget(column)
            scan.problems.add(0, describe_missing(column, known))
    refused = scan.problems.count > 0
    if scan.skips.count and (refused or dataset.on_error == "refuse"):
        raise scan.problems.joined(scan.skips).error(source.path, "" if refused else _SKIP_HINT)
    if refused:
        raise scan.problems.error(source.path)


def _tell_where(dataset: Dataset) -> str:
    return ", ".join(f"{column}: {wanted}" for column, wanted in dataset.where.items())


def _read_rows(source: Source, wanted: Sequence[int]) -> Iterator[tuple[int, Row]]:
    """Rows by their numbers, those that follow each other in one go; no other row is touched, for it may be broken."""
    begin = 0
    while begin < len(wanted):
        end = begin + 1
        while end < len(wanted) and wanted[end] == wanted[end - 1] + 1:
            end += 1
        first = wanted[begin]
        yield from enumerate(source.rows(first, first + end - begin), start=first)
        begin = end
