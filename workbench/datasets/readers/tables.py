"""Parquet files and Arrow folders, read by another process (native/).

A damaged file can crash pyarrow or exhaust memory; it then takes only that process along.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.datasets.file_snapshot import FileSnapshot
from workbench.datasets.native.protocol import Kind
from workbench.datasets.native.worker import KeepAlive, describe_file, query
from workbench.datasets.registry import FileSplits, reader
from workbench.datasets.source import DatasetRow, RowError
from workbench.errors import DatasetError

_AT_ONCE = 256


class TableSource:
    """A source."""

    unit = "row"
    blank_is_answer = True

    def __init__(
        self, path: Path, format: str, kind: Kind, files: Sequence[Path], features: Mapping[str, Any] | None = None
    ) -> None:
        """path: as messages name it. files: those that hold the rows. Raises DatasetError when they cannot be read."""
        self.path = path
        self.format = format
        self.remarks: tuple[str, ...] = ()
        self._contents = [FileSnapshot(file) for file in files]
        self._hold = KeepAlive()
        self._file = describe_file(kind, files, features=dict(features or {}))
        found = query(path, self._file) if files else None
        self.columns = found.columns if found else ()
        self._count = found.count or 0 if found else 0
        self._errors = found.row_errors if found else {}
        self.sound = not self._errors

    def scan(self) -> Iterator[DatasetRow | RowError]:
        for row in self._read(0, self._count):
            yield RowError(row.line, self._errors[row.line - 1]) if row.line - 1 in self._errors else row

    def rows(self, start: int, stop: int) -> Iterator[DatasetRow]:
        return self._read(start, min(stop, self._count))

    def _read(self, start: int, stop: int) -> Iterator[DatasetRow]:
        while start < stop:
            found = query(self.path, self._file, start, min(stop, start + _AT_ONCE)).rows
            if not found:
                raise DatasetError(f"{self.path} ends before row {start + 1}.", "Download it again.")
            for row in found:
                if row.problem and row.line - 1 not in self._errors:  # found by nobody before
                    raise DatasetError(f"{self.path} cannot be read:\n  row {row.line}: {row.problem}")
                yield DatasetRow(row.line, row.cells, row.typed)
            start += len(found)

    def digest(self) -> str:
        digests = [content.digest() for content in self._contents]
        if self._file.kind == "parquet":
            return digests[0]
        return hashlib.blake2b("".join(digests).encode(), digest_size=16).hexdigest()

    def __len__(self) -> int:
        return self._count


@reader("parquet", ".parquet", sharded=True)
def open_parquet(path: Path) -> FileSplits:
    return FileSplits.whole(TableSource(path, "parquet", "parquet", [path]))
