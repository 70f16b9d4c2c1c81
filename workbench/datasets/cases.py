"""Cases: the rows of a dataset that a bench wants, in order, read when they are looked at.

Kept in memory is where rows are, not what they hold: a few bytes each.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, overload

from workbench.datasets.auto_split import PARTS
from workbench.datasets.case import Case
from workbench.datasets.case_parts import find_auto_part, select_rows, undivided
from workbench.datasets.opening import OpenedSource, open_source
from workbench.datasets.row_mapper import MissingColumnError, RowMapper, choose_layout, describe_missing
from workbench.datasets.selection import make_filter, sample_rows
from workbench.datasets.source import DatasetRow, RowError, RowProblems, RowSource
from workbench.datasets.spec import Dataset
from workbench.datasets.synthetic_rows import SyntheticFilter
from workbench.errors import DatasetError
from workbench.units import format_subject

PEEK_ROWS = 50  # rows by which a layout is recognised
_AT_ONCE = 512
_SKIP_HINT = "Fix these rows, or skip them with `on_error: skip` in the bench's dataset."


class Cases(Sequence[Case]):
    """Immutable; safe to be read by several threads.

    columns: of the file. format, layout: as a bench names them. splits, split: those there are, and this one.
    skipped: rows that could not be read and were left out; notes: what was wrong with them.
    """

    def __init__(
        self,
        source: RowSource,
        mapper: RowMapper,
        opened: OpenedSource,
        chosen: Sequence[int],
        skips: RowProblems,
        synthetic: SyntheticFilter,
        doubled: int = 0,
    ) -> None:
        """doubled: rows of an automatic split that were left out because a later part holds their input too."""
        self.doubled = doubled
        self.source = source
        self.mapper = mapper
        self._chosen = chosen
        self._opened = opened
        self._skips = skips
        self._synthetic = synthetic
        self._digest = ""

    @property
    def path(self) -> Path:
        return self.source.path

    @property
    def format(self) -> str:
        return self.source.format

    @property
    def layout(self) -> str:
        return self.mapper.layout

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
    def synthetic_left_out(self) -> int:
        """Rows that a model wrote and that are no cases here."""
        return self._synthetic.left_out

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
        others = (*filter(None, (self._synthetic.remark, self._describe_doubled())), *self.mapper.remarks)
        if not self.skipped:
            return others
        rows = format_subject(self.skipped, "row", "cannot be read and is", "cannot be read and are")
        return (f"{rows} left out of the dataset; first {self.notes[0]}.", *others)

    def _describe_doubled(self) -> str:
        rows = format_subject(self.doubled, "row")
        return f"{rows} left out: the input is also in another part." if self.doubled else ""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was decided about the file, and about its rows as far as they were read."""
        return (*self.source.remarks, *filter(None, (self._synthetic.remark,)), *self.mapper.remarks)

    @property
    def numbers(self) -> Sequence[int]:
        """The case numbers, in order."""
        if isinstance(self._chosen, range):
            return range(self._chosen.start + 1, self._chosen.stop + 1, self._chosen.step)
        return [row + 1 for row in self._chosen]

    @property
    def indices(self) -> Sequence[int]:
        """Where these rows stand in the source, from 0."""
        return self._chosen

    def choose(self, indices: Sequence[int], part: str = "", doubled: int | None = None) -> Cases:
        """The cases of some rows. part: of an automatic split, which they are."""
        opened = self._opened._replace(splits=PARTS, split=part) if part else self._opened
        left_out = self.doubled if doubled is None else doubled
        return Cases(self.source, self.mapper, opened, indices, self._skips, self._synthetic, left_out)

    def rows(self) -> Iterator[DatasetRow]:
        """The rows as the file holds them."""
        for at in range(0, len(self), _AT_ONCE):
            yield from (row for _, row in _read_rows(self.source, self._chosen[at : at + _AT_ONCE]))

    def index_of(self, number: int) -> int:
        """Where the case of that number stands, or the first one after it; the length where there is none."""
        return bisect_left(self._chosen, number - 1)

    def nearest(self, number: int, forward: bool) -> int:
        """The case number, or the next one there is in that direction, or else the outermost."""
        index = self.index_of(number)
        exact = index < len(self) and self._chosen[index] == number - 1
        index = index if exact or forward else index - 1
        return self._chosen[max(0, min(index, len(self) - 1))] + 1

    def find(self, number: int) -> Case | None:
        """The case of that number; None where it is not among these."""
        index = self.index_of(number)
        found = index < len(self) and self._chosen[index] == number - 1
        return self[index] if found else None

    def __len__(self) -> int:
        return len(self._chosen)

    @overload
    def __getitem__(self, index: int) -> Case: ...
    @overload
    def __getitem__(self, index: slice) -> Cases: ...
    def __getitem__(self, index: int | slice) -> Case | Cases:
        if isinstance(index, slice):
            return self.choose(self._chosen[index])
        row = self._chosen[index]
        return self._read(row, next(iter(self.source.rows(row, row + 1))))

    def __iter__(self) -> Iterator[Case]:
        for at in range(0, len(self._chosen), _AT_ONCE):
            wanted = self._chosen[at : at + _AT_ONCE]
            for row, found in _read_rows(self.source, wanted):
                yield self._read(row, found)

    def _read(self, row: int, found: DatasetRow) -> Case:
        return self.mapper.read(row + 1, found)


def load_cases(dataset: Dataset, folder: Path) -> Cases:
    """The dataset's rows, in order.

    folder: the bench's folder, from which a relative path is looked up first.
    Values that are not strings become their JSON text, exactly as written; null is the same as no value. In a CSV file
    an empty expected answer is no answer. With a `limit` and no `sample` nothing beyond the last wanted row is read.
    Raises FileError when there is no such file, and DatasetError when it is empty or rows cannot be read, with their
    lines.
    """
    auto = find_auto_part(dataset)
    opened = open_source(dataset if auto is None else undivided(dataset), folder)
    source = opened.source
    scan = SourceScan.begin(dataset, source)
    synthetic = SyntheticFilter(
        dataset.synthetic, auto or opened.split or dataset.split, source.columns if source.sound else ()
    )
    chosen = _choose_rows(dataset if auto is None else undivided(dataset), source, scan, synthetic)
    found = source.sound or len(source) or scan.problems.count
    _refuse(dataset, source, scan)
    if not found or not len(source):
        raise DatasetError(f"{source.path} has no rows.", "Add one case a line, or take another file.")
    if not chosen and not scan.skips.count and (synthetic.left_out or synthetic.use == "only"):
        raise _refuse_synthetic(source, synthetic)
    if not chosen and not scan.skips.count and not dataset.where:
        raise DatasetError(f"Every row of {source.path} is excluded.", "Change `exclude` in the bench.")
    if not chosen and not scan.skips.count:
        raise DatasetError(f"{source.path} has no row with {_describe_where(dataset)}.", "Change `where` in the bench.")
    if not chosen:
        raise scan.skips.error(source.path, "No row is left.")
    found_cases = Cases(source, scan.mapper, opened, chosen, scan.skips, synthetic)
    if auto is not None:
        rows, doubled = select_rows(found_cases, dataset, auto)
        found_cases = found_cases.choose(rows, auto, doubled)
    return found_cases.choose(sample_rows(dataset, found_cases.indices))


class SourceScan(NamedTuple):
    """A source at the beginning of its first reading, with what its first rows say.

    problems: what makes the file unusable. skips: what is wrong with rows that may be left out.
    """

    rows: Iterator[DatasetRow | RowError]
    mapper: RowMapper
    problems: RowProblems
    skips: RowProblems

    @classmethod
    def begin(cls, dataset: Dataset, source: RowSource) -> SourceScan:
        rows = source.scan()
        first = list(islice(rows, PEEK_ROWS))
        cells = [row.cells for row in first if isinstance(row, DatasetRow)]
        columns = tuple(dict.fromkeys((*source.columns, *(column for row in cells for column in row))))
        layout = choose_layout(dataset, columns, cells, str(source.path))
        mapper = RowMapper(dataset, layout, source.blank_is_answer)
        return cls(chain(first, rows), mapper, RowProblems(source.unit), RowProblems(source.unit))


def _choose_rows(dataset: Dataset, source: RowSource, scan: SourceScan, synthetic: SyntheticFilter) -> Sequence[int]:
    wants = make_filter(dataset, source.blank_is_answer)
    most = dataset.limit if dataset.sample is None and dataset.limit is not None else None
    excluded = {number - 1 for number in dataset.exclude}
    if source.sound and not wants and not scan.mapper.checks and not synthetic.checks:
        return _leave_out(range(len(source)), excluded)
    chosen, row = array("Q"), -1
    for item in scan.rows:
        if isinstance(item, RowError) and item.whole:
            scan.problems.add(item.line, item.message)
            continue
        row += 1
        if isinstance(item, RowError):
            scan.skips.add(item.line, item.message)
        elif row in excluded:
            continue
        elif (
            (not wants or wants(item))
            and (not synthetic.checks or synthetic.wants(item))
            and (not scan.mapper.checks or is_case(item, scan))
        ):
            chosen.append(row)
            if len(chosen) == most:
                break
    return range(row + 1) if len(chosen) == row + 1 else chosen


def _refuse_synthetic(source: RowSource, synthetic: SyntheticFilter) -> DatasetError:
    if synthetic.use == "only":
        return DatasetError(
            f"{source.path} has no synthetic row: none says `origin: synthetic`.", "Leave out `synthetic: only`."
        )
    return DatasetError(
        f"Every row of {source.path} that is wanted is synthetic, and none is a case here: a score on rows that a model"
        " wrote says little about real ones.",
        "Name a file with real rows, or add `synthetic: include` to the dataset.",
    )


def _leave_out(rows: range, excluded: Collection[int]) -> Sequence[int]:
    return array("Q", (row for row in rows if row not in excluded)) if excluded else rows


def is_case(row: DatasetRow, scan: SourceScan) -> bool:
    """Whether a row can be used; if not, why is noted in the scan."""
    try:
        scan.mapper.check(row)
    except MissingColumnError as error:
        scan.skips.add(row.line, str(error), error.column)
        return False
    except ValueError as error:
        scan.skips.add(row.line, str(error))
        return False
    return True


def _refuse(dataset: Dataset, source: RowSource, scan: SourceScan) -> None:
    """Raise what is wrong with the file: columns it does not have, and rows unless they may be left out."""
    known = {*source.columns, *scan.mapper.offered}
    for column in dict.fromkeys((*scan.mapper.wanted, *dataset.where)):
        if known and column not in known:
            scan.skips.forget(column)
            scan.problems.add(0, describe_missing(column, known))
    refused = scan.problems.count > 0
    if scan.skips.count and (refused or dataset.on_error == "refuse"):
        raise scan.problems.joined(scan.skips).error(source.path, "" if refused else _SKIP_HINT)
    if refused:
        raise scan.problems.error(source.path)


def _describe_where(dataset: Dataset) -> str:
    return ", ".join(f"{column}: {wanted}" for column, wanted in dataset.where.items())


def _read_rows(source: RowSource, wanted: Sequence[int]) -> Iterator[tuple[int, DatasetRow]]:
    """Rows by their numbers, those that follow each other in one go; no other row is touched, for it may be broken."""
    begin = 0
    while begin < len(wanted):
        end = begin + 1
        while end < len(wanted) and wanted[end] == wanted[end - 1] + 1:
            end += 1
        first = wanted[begin]
        yield from enumerate(source.rows(first, first + end - begin), start=first)
        begin = end
