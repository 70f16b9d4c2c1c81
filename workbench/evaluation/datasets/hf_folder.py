"""A Hugging Face dataset on disk: the folder that `save_to_disk` of the `datasets` library writes.

Its Arrow files are mapped into memory, so that only rows that are looked at are read. A folder of several splits has a
folder for each.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import msgspec

from workbench import files
from workbench.errors import DatasetError
from workbench.evaluation.datasets.arrow import make_writers, read_batch
from workbench.evaluation.datasets.content import Content
from workbench.evaluation.datasets.source import Row

STATE = "state.json"
SPLITS = "dataset_dict.json"
_INFO = "dataset_info.json"


class HfFolder:
    """A source."""

    format = "hf"
    unit = "row"
    blank_is_answer = True
    sound = True

    def __init__(self, path: Path) -> None:
        """Raises DatasetError when a file of the folder is missing or broken."""
        self.path = path
        self._paths = _find_files(path)
        self._batches = [batch for file in self._paths for batch in _open(file)]
        self._begins: list[int] = [0, *accumulate(batch.num_rows for batch in self._batches)]
        schema = self._batches[0].schema if self._batches else None
        self._writers = make_writers(schema, _find_features(path)) if schema else {}
        self.columns = tuple(self._writers)

    def scan(self) -> Iterator[Row]:
        return self.rows(0, len(self))

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        while start < stop:
            at = bisect_right(self._begins, start) - 1
            piece = self._batches[at].slice(start - self._begins[at], stop - start)
            for number, cells in enumerate(read_batch(piece, self._writers), start=start + 1):
                yield Row(number, cells)
            start += piece.num_rows

    def digest(self) -> str:
        joined = "".join(Content(path).digest() for path in self._paths)
        return hashlib.blake2b(joined.encode(), digest_size=16).hexdigest()

    def __len__(self) -> int:
        return self._begins[-1]


def list_parts(folder: Path) -> tuple[str, ...]:
    """The splits of a folder that holds several."""
    splits = _load(folder / SPLITS).get("splits", [])
    return tuple(name for name in splits if isinstance(name, str))


def _find_files(folder: Path) -> tuple[Path, ...]:
    state = _load(folder / STATE)
    if state.get("_indices_data_files"):
        raise DatasetError(f"{folder} keeps a selection beside its rows.", "Call flatten_indices() and save it anew.")
    entries = state.get("_data_files", [])
    names = [entry.get("filename") for entry in entries if isinstance(entry, dict)]
    paths = tuple(folder / name for name in names if isinstance(name, str))
    missing = [str(path) for path in paths if not path.is_file()]
    if missing or len(paths) != len(entries):
        raise DatasetError(f"{folder / STATE} names files that are not there: {', '.join(missing)}.", "Fetch it anew.")
    return paths


def _open(path: Path) -> list[Any]:
    import pyarrow

    try:
        mapped = pyarrow.memory_map(str(path))
        return [batch for batch in pyarrow.ipc.open_stream(mapped) if batch.num_rows]
    except (OSError, pyarrow.ArrowException) as error:
        raise DatasetError(f"{path} is no Arrow file: {error}.", "Fetch it anew.") from error


def _find_features(folder: Path) -> dict[str, Any]:
    path = folder / _INFO
    features = _load(path).get("features") if path.is_file() else None
    return features if isinstance(features, dict) else {}


def _load(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(files.read_text(path), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise DatasetError(f"{path} cannot be read: {error}.", "Fetch it anew.") from error
