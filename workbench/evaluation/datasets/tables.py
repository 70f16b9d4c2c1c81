"""Tables: Parquet files and Arrow folders as sources, read by another process (native/).

Knows nothing of their formats. Rows of which that process has found that they cannot be read are faults.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.errors import DatasetError
from workbench.evaluation.datasets.content import Content
from workbench.evaluation.datasets.native.process import Hold, ask, describe_file
from workbench.evaluation.datasets.native.wire import Kind
from workbench.evaluation.datasets.source import Fault, Row

_AT_ONCE = 256


class Table:
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
        self._contents = [Content(file) for file in files]
        self._hold = Hold()
        self._file = describe_file(kind, files, features=dict(features or {}))
        found = ask(path, self._file) if files else None
        self.columns = found.columns if found else ()
        self._count = found.count or 0 if found else 0
        self._faults = found.faults if found else {}
        self.sound = not self._faults

    def scan(self) -> Iterator[Row | Fault]:
        for row in self._read(0, self._count):
            yield Fault(row.line, self._faults[row.line - 1]) if row.line - 1 in self._faults else row

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        return self._read(start, min(stop, self._count))

    def _read(self, start: int, stop: int) -> Iterator[Row]:
        while start < stop:
            found = ask(self.path, self._file, start, min(stop, start + _AT_ONCE)).rows
            if not found:
                raise DatasetError(f"{self.path} ends before row {start + 1}.", "Fetch it anew.")
            for row in found:
                if row.problem and row.line - 1 not in self._faults:  # found by nobody before
                    raise DatasetError(f"{self.path} cannot be read:\n  row {row.line}: {row.problem}")
                yield Row(row.line, row.cells, row.typed)
            start += len(found)

    def digest(self) -> str:
        digests = [content.digest() for content in self._contents]
        if self._file.kind == "parquet":
            return digests[0]
        return hashlib.blake2b("".join(digests).encode(), digest_size=16).hexdigest()

    def __len__(self) -> int:
        return self._count
