"""Spool: rows kept in a temporary file, for formats from which a single row cannot be read again.

The file has no name and vanishes with the process.
"""

from __future__ import annotations

import tempfile
import threading
import weakref
from array import array
from collections.abc import Iterator

import msgspec

from workbench.evaluation.datasets.source import Row

_BUFFER = 1 << 20


class Spool:
    """Rows in the order in which they were put in."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=_BUFFER)  # noqa: SIM115 - lives as long as the spool
        weakref.finalize(self, self._file.close)
        self._lock = threading.Lock()
        self._stops = array("Q", [0])
        self._lines = array("Q")
        self._decoder = msgspec.json.Decoder(tuple[dict[str, str], frozenset[str]])

    def put(self, row: Row) -> None:
        """Keep a row, as the last one."""
        text = msgspec.json.encode((row.cells, row.typed))
        self._file.write(text)
        self._stops.append(self._stops[-1] + len(text))
        self._lines.append(row.line)

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        """The rows from start up to stop, numbered from 0."""
        for index in range(start, stop):
            with self._lock:
                self._file.seek(self._stops[index])
                text = self._file.read(self._stops[index + 1] - self._stops[index])
            yield Row(self._lines[index], *self._decoder.decode(text))

    def __len__(self) -> int:
        return len(self._lines)
