"""Parquet: read batch by batch; never more than a few batches are in memory.

A row in the middle is reached from the beginning of its row group.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

from workbench.errors import DatasetError
from workbench.evaluation.datasets.arrow import make_writers, read_batch
from workbench.evaluation.datasets.content import Content
from workbench.evaluation.datasets.source import Row

_BATCH = 2048
_KEPT = 8  # batches


class Parquet:
    """A source."""

    format = "parquet"
    unit = "row"
    blank_is_answer = True
    sound = True

    def __init__(self, path: Path) -> None:
        """Raises DatasetError when it is no Parquet file."""
        self.path = path
        self._content = Content(path)
        self._file = _open(path)
        metadata, schema = self._file.metadata, self._file.schema_arrow
        groups = (metadata.row_group(at).num_rows for at in range(metadata.num_row_groups))
        self._begins: list[int] = [0, *accumulate(groups)]
        self._writers = make_writers(schema, {})
        self.columns = tuple(schema.names)
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self._way: Iterator[tuple[int, Any]] = iter(())
        self._at = -1
        self._lock = threading.Lock()

    def scan(self) -> Iterator[Row]:
        return self.rows(0, len(self))

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        while start < stop:
            begin, batch = self._batch_with(start)
            piece = batch.slice(start - begin, stop - start)
            for number, cells in enumerate(read_batch(piece, self._writers), start=start + 1):
                yield Row(number, cells)
            start += piece.num_rows

    def digest(self) -> str:
        return self._content.digest()

    def __len__(self) -> int:
        return self._begins[-1]

    def _batch_with(self, index: int) -> tuple[int, Any]:
        with self._lock:
            self._content.read(0, 1)  # tells when the file was overwritten
            for begin, batch in self._kept.items():
                if begin <= index < begin + batch.num_rows:
                    self._kept.move_to_end(begin)
                    return begin, batch
            group = bisect_right(self._begins, index) - 1
            if not (self._begins[group] <= self._at <= index):
                self._way = self._walk(group)
            return self._go_to(index)

    def _go_to(self, index: int) -> tuple[int, Any]:
        try:
            for begin, batch in self._way:
                self._at = begin + batch.num_rows
                if index < self._at:
                    self._kept[begin] = batch
                    if len(self._kept) > _KEPT:
                        self._kept.popitem(last=False)
                    return begin, batch
        except (OSError, ValueError) as error:  # pyarrow's errors are among these
            raise DatasetError(f"{self.path} breaks off at row {index + 1}: {error}.", "Fetch it anew.") from error
        raise DatasetError(f"{self.path} ends before row {index + 1}.", "Fetch it anew.")

    def _walk(self, group: int) -> Iterator[tuple[int, Any]]:
        """Batches from the beginning of a row group on, to the end of the file."""
        begin = self._begins[group]
        self._at = begin
        groups = range(group, len(self._begins) - 1)
        for batch in self._file.iter_batches(_BATCH, row_groups=list(groups)):
            yield begin, batch
            begin += batch.num_rows


def _open(path: Path) -> Any:
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(path, memory_map=True)
    except (OSError, pyarrow.ArrowException) as error:
        raise DatasetError(f"{path} is no Parquet file: {error}.", "Take another file, or fetch it anew.") from error
