"""A preview of a dataset for a user who is about to use it.

Looks at the first rows; at all of them where the file is small or it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from workbench.datasets.case import Case
from workbench.datasets.cases import PEEK_ROWS, SourceScan, is_case
from workbench.datasets.dataset_types import recognize_types
from workbench.datasets.layouts import NAMES, named
from workbench.datasets.opening import OpenedSource, SplitError, open_source
from workbench.datasets.row_mapper import describe_missing
from workbench.datasets.source import DatasetRow, RowError, RowSource
from workbench.datasets.spec import Dataset

_SAMPLES = 3
_MAX_SAMPLE_CHARS = 200
_SMALL = 8 << 20  # bytes of a file that is read to its end
_LIKELY = ("test", "validation", "valid", "dev", "val", "eval")


class PreviewColumn(msgspec.Struct, frozen=True):
    """samples: its first values, shortened."""

    name: str
    samples: tuple[str, ...]


class VariableOrigin(msgspec.Struct, frozen=True):
    """Where a variable comes from: a column, or a phrase about one."""

    variable: str
    source: str


class DatasetPreview(msgspec.Struct, frozen=True):
    """What a dataset looks like, and how it would be read.

    layout: what the columns mean, `columns` for nothing but themselves; layouts: others that would fit as well.
    expected: where the right answer comes from, "" where no row that was looked at has one.
    splits: those there are; split: the one that was looked at, the likeliest where none was chosen.
    rows: how many the file has, None where it was not read to its end; complete: whether every row was looked at.
    problems: what is wrong with it, as far as it was read; unreadable: how many rows of those cannot be read. remarks:
    what was decided about it, and what of its rows no case uses. cases: the first ones, as a prompt would get them.
    types: what training can read it as without a prompt, such as conversations, in words.
    """

    path: str
    format: str
    layout: str
    layouts: tuple[str, ...]
    columns: tuple[PreviewColumn, ...]
    mapping: tuple[VariableOrigin, ...]
    expected: str
    splits: tuple[str, ...]
    split: str
    rows: int | None
    complete: bool
    problems: tuple[str, ...]
    unreadable: int
    remarks: tuple[str, ...]
    cases: tuple[Case, ...]
    types: tuple[str, ...] = ()


def describe(dataset: Dataset, folder: Path, thorough: bool = False) -> DatasetPreview:
    """Look at a dataset. Its `where`, `sample` and `limit` do not matter here.

    thorough: read it to its end, however long that takes.
    Raises FileError when there is no such file and DatasetError when it is none of the known formats.
    """
    opened = _open(dataset, folder)
    source = opened.source
    scan = SourceScan.begin(dataset, source)
    whole = thorough or (not source.sound and _is_small(source))
    found = _collect(scan, whole)
    cases, rows = _make_cases(scan, found), tuple(found.values())
    columns = source.columns or tuple(dict.fromkeys(name for row in rows for name in row.cells))
    _note_missing(scan, columns)
    cells = [row.cells for row in rows]
    others = tuple(name for name in NAMES if name != scan.mapper.layout and named(name, columns, cells))
    first = cases[0].variables if cases else dataset.columns
    return DatasetPreview(
        path=str(source.path),
        format=source.format,
        layout=scan.mapper.layout,
        layouts=others,
        columns=tuple(PreviewColumn(name, _sample(name, rows)) for name in columns),
        mapping=tuple(VariableOrigin(name, scan.mapper.origin(name)) for name in first),
        expected=scan.mapper.origin("") if any(case.expected is not None for case in cases) else "",
        splits=opened.splits,
        split=opened.split,
        rows=len(source) if whole or source.sound else None,
        complete=whole,
        problems=scan.problems.joined(scan.skips).lines(),
        unreadable=scan.skips.count,
        remarks=(*source.remarks, *scan.mapper.remarks),
        cases=tuple(cases[:_SAMPLES]),
        types=tuple(one.words for one in recognize_types(columns, cells)),
    )


def _open(dataset: Dataset, folder: Path) -> OpenedSource:
    try:
        return open_source(dataset, folder)
    except SplitError as error:
        if dataset.split:
            raise
        likely = next((name for name in _LIKELY if name in error.splits), error.splits[0])
        return open_source(msgspec.structs.replace(dataset, split=likely), folder)


def _is_small(source: RowSource) -> bool:
    return source.path.is_file() and source.path.stat().st_size <= _SMALL


def _collect(scan: SourceScan, whole: bool) -> dict[int, DatasetRow]:
    """The first rows by case number; on the way problems are noted, of the first rows or of all."""
    kept: dict[int, DatasetRow] = {}
    number = 0
    for item in scan.rows:
        number += 1
        if isinstance(item, RowError):
            (scan.problems if item.whole else scan.skips).add(item.line, item.message)
            number -= item.whole
            continue
        if len(kept) < PEEK_ROWS:
            kept[number] = item
        elif not whole:
            break
        if scan.mapper.checks:
            is_case(item, scan)
    return kept


def _make_cases(scan: SourceScan, rows: Mapping[int, DatasetRow]) -> list[Case]:
    cases = []
    for number, row in rows.items():
        try:
            cases.append(scan.mapper.read(number, row))
        except ValueError:
            continue
    return cases


def _note_missing(scan: SourceScan, columns: Sequence[str]) -> None:
    known = {*columns, *scan.mapper.offered}
    for column in dict.fromkeys(scan.mapper.wanted):
        if known and column not in known:
            scan.skips.forget(column)
            scan.problems.add(0, describe_missing(column, known))


def _sample(column: str, rows: Sequence[DatasetRow]) -> tuple[str, ...]:
    values = (row.cells[column] for row in rows if column in row.cells)
    text = dict.fromkeys(
        value if len(value) <= _MAX_SAMPLE_CHARS else value[: _MAX_SAMPLE_CHARS - 1] + "…" for value in values
    )
    return tuple(text)[:_SAMPLES]
