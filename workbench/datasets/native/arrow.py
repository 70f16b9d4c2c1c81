"""Arrow and Parquet: record batches as rows of text.

A file that is mapped is read here alone, never in the terminal's process: where it is
written over, the system ends whoever looks at it.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import msgspec
import pyarrow
from pyarrow import parquet

from workbench.datasets.cell_text import is_text, to_text
from workbench.datasets.native.features import make_namers
from workbench.datasets.native.protocol import FileRow, TableFile, TableReply
from workbench.errors import DatasetError

_BATCH = 2048
_KEPT = 8  # batches
_AT_ONCE = 256  # rows turned into Python values together
_CHECK_SECONDS = 5.0  # after which the rest is checked when it is read
_MOST_FAULTS = 10_000
_MOST_ROWS = 1 << 40


class _Rows:
    """Rows of batches, each with the number of its first row."""

    def __init__(self, schema: Any, count: int, features: dict[str, Any]) -> None:
        self._names = _check_schema(schema, count)
        self._namers = make_namers({**_features_of(schema), **features})
        self._count = count
        self._row_errors: dict[int, str] = {}

    def describe(self) -> TableReply:
        return TableReply(self._names, self._count, row_errors=self._row_errors)

    def read(self, start: int, stop: int) -> TableReply:
        rows: list[FileRow] = []
        stop = min(stop, self._count, start + _AT_ONCE)
        while start < stop:
            begin, batch = self._batch_with(start)
            piece = batch.slice(start - begin, stop - start)
            rows += self._make_rows(start, piece)
            start += piece.num_rows
        return TableReply(self._names, self._count, tuple(rows))

    def _batch_with(self, index: int) -> tuple[int, Any]:
        raise NotImplementedError

    def _check(self, batches: Iterator[tuple[int, Any]]) -> None:
        """Find rows that cannot be read before anybody relies on them, as far as that takes no longer than a moment."""
        end = time.monotonic() + _CHECK_SECONDS
        for begin, batch in batches:
            if not _is_valid(batch):
                rows = (row for row in self._make_rows(begin, batch) if row.problem)
                self._row_errors.update({row.line - 1: row.problem for row in rows})
            if time.monotonic() > end or len(self._row_errors) > _MOST_FAULTS:
                return

    def _make_rows(self, start: int, piece: Any) -> Iterator[FileRow]:
        columns = [self._make_texts(at, piece.column(at)) for at in range(piece.num_columns)]
        for row in range(piece.num_rows):
            cells: dict[str, str] = {}
            typed: list[str] = []
            problem = ""
            for name, texts in zip(self._names, columns, strict=True):
                text, kind = texts[row]
                if kind == "broken":
                    problem = problem or f"column {name}: {text}"
                elif text is not None:
                    cells[name] = text
                    if kind == "value":
                        typed.append(name)
            yield FileRow(start + row + 1, {} if problem else cells, frozenset(typed), problem)

    def _make_texts(self, at: int, column: Any) -> list[tuple[str | None, str]]:
        namer = self._namers.get(self._names[at])
        return [_make_text(value, namer) for value in _read_values(column)]


class ArrowFolder(_Rows):
    """Arrow streams, mapped: the files of a folder that `save_to_disk` wrote."""

    def __init__(self, file: TableFile) -> None:
        self._batches = [batch for path in file.paths for batch in _open_stream(path)]
        self._begins = [0, *accumulate(batch.num_rows for batch in self._batches)]
        schema = self._batches[0].schema if self._batches else pyarrow.schema([])
        if any(not batch.schema.equals(schema) for batch in self._batches):
            raise DatasetError("has parts with different columns", "Save it again.")
        super().__init__(schema, self._begins[-1], file.features)
        self._check(zip(self._begins, self._batches, strict=False))

    def _batch_with(self, index: int) -> tuple[int, Any]:
        at = bisect_right(self._begins, index) - 1
        return self._begins[at], self._batches[at]


class Parquet(_Rows):
    """Read batch by batch; a row in the middle is reached from the beginning of its row group."""

    def __init__(self, file: TableFile) -> None:
        self._file = parquet.ParquetFile(file.paths[0], memory_map=False, pre_buffer=False)
        metadata = self._file.metadata
        groups = (metadata.row_group(at).num_rows for at in range(metadata.num_row_groups))
        self._begins = [0, *accumulate(groups)]
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self._way: Iterator[tuple[int, Any]] = iter(())
        self._at = -1
        super().__init__(self._file.schema_arrow, self._begins[-1], {})
        self._check(self._walk(0))
        self._at = -1

    def _batch_with(self, index: int) -> tuple[int, Any]:
        for begin, batch in self._kept.items():
            if begin <= index < begin + batch.num_rows:
                self._kept.move_to_end(begin)
                return begin, batch
        group = bisect_right(self._begins, index) - 1
        if not (self._begins[group] <= self._at <= index):
            self._way = self._walk(group)
        for begin, batch in self._way:
            self._at = begin + batch.num_rows
            if index < self._at:
                self._kept[begin] = batch
                if len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
                return begin, batch
        raise DatasetError(f"ends before row {index + 1}", "Download it again.")

    def _walk(self, group: int) -> Iterator[tuple[int, Any]]:
        """Batches from the beginning of a row group on, to the end of the file."""
        begin = self._begins[group]
        self._at = begin
        groups = list(range(group, len(self._begins) - 1))
        for batch in self._file.iter_batches(_BATCH, row_groups=groups, use_threads=False) if groups else ():
            yield begin, batch
            begin += batch.num_rows


def _open_stream(path: str) -> list[Any]:
    return [batch for batch in pyarrow.ipc.open_stream(pyarrow.memory_map(path)) if batch.num_rows]


def _check_schema(schema: Any, count: int) -> tuple[str, ...]:
    names = tuple(schema.names)
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise DatasetError(f"has two columns named {twice}", "Rename one of them and save it again.")
    if not 0 <= count < _MOST_ROWS:
        raise DatasetError(f"claims to have {count} rows", "It is broken; download it again.")
    return names


def _is_valid(batch: Any) -> bool:
    try:
        batch.validate(full=True)
    except pyarrow.ArrowException:
        return False
    return all(_is_readable(column.type) for column in batch.columns)


def _is_readable(type: Any) -> bool:
    """Whether every value of a type that is valid can be turned into Python's."""
    types = pyarrow.types
    if types.is_timestamp(type) or types.is_date(type):
        return False  # beyond the year 9999, or of an unknown time zone
    return all(_is_readable(type.field(at).type) for at in range(type.num_fields))


class _Broken:
    """In the place of a value that cannot be read."""

    def __init__(self, words: str) -> None:
        self.words = words


def _make_text(value: Any, namer: Callable[[Any], Any] | None) -> tuple[str | None, str]:
    """The text of a value, and whether it is `text`, the JSON of a `value`, or `broken`."""
    if isinstance(value, _Broken):
        return value.words, "broken"
    if namer is not None:
        value = namer(value)
    return to_text(value), "text" if is_text(value) else "value"


def _read_values(column: Any) -> Sequence[Any]:
    """The column as Python values, each that cannot be one in the words of Arrow, or _Broken."""
    try:
        column.validate(full=True)
        return _round(column.type, _shorten(column).to_pylist())
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - pyarrow raises what Python's types raise; the way below tells of each value
        return [_read_value(scalar) for scalar in column]


def _read_value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except MemoryError:
        raise
    except UnicodeDecodeError as error:
        return _Broken(f"not UTF-8 text (byte {error.object[error.start]:#04x})")
    except Exception as error:  # noqa: BLE001
        return _read_as_words(scalar, error)


def _read_as_words(scalar: Any, error: Exception) -> Any:
    """What Python has no value for, such as a day beyond the year 9999, as Arrow writes it."""
    type = scalar.type
    if pyarrow.types.is_timestamp(type) and type.tz:  # of a zone that is not known here: its times are kept in UTC
        type = pyarrow.timestamp(type.unit)
    try:
        words = scalar.cast(type).cast(pyarrow.string()).as_py()
    except pyarrow.ArrowException:
        words = None
    if words is None or words.startswith("<"):  # Arrow has none either: <value out of range: ...>
        out = isinstance(error, OverflowError)
        return _Broken(f"a {scalar.type} out of range" if out else " ".join(str(error).split())[:200])
    return words.replace(" ", "T")


def _shorten(column: Any) -> Any:
    """Nanoseconds as microseconds where nothing is lost by it: Python has no finer ones."""
    type, types = column.type, pyarrow.types
    if types.is_timestamp(type) and type.unit == "ns":
        return column.cast(pyarrow.timestamp("us", type.tz))
    if types.is_duration(type) and type.unit == "ns":
        return column.cast(pyarrow.duration("us"))
    return column.cast(pyarrow.time64("us")) if types.is_time64(type) and type.unit == "ns" else column


def _round(type: Any, values: list[Any]) -> list[Any]:
    """Floats of 32 or 16 bits with the digits that they have: 0.1, not 0.10000000149011612."""
    if not pyarrow.types.is_float32(type) and not pyarrow.types.is_float16(type):
        return values
    import numpy

    small = numpy.float32 if pyarrow.types.is_float32(type) else numpy.float16
    return [None if value is None else float(str(small(value))) for value in values]


def _features_of(schema: Any) -> dict[str, Any]:
    """What the `datasets` library wrote into the schema of a Parquet or Arrow file."""
    kept = (schema.metadata or {}).get(b"huggingface")
    try:
        features = msgspec.json.decode(kept)["info"]["features"] if kept else {}
    except (msgspec.DecodeError, KeyError, TypeError, RecursionError, UnicodeDecodeError):
        return {}
    return features if isinstance(features, dict) else {}
