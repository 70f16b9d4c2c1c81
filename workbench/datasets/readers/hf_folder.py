"""Folders that `save_to_disk` of Hugging Face's `datasets` library writes.

A folder of several splits has a folder for each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from workbench import files
from workbench.datasets.readers.tables import TableSource
from workbench.datasets.registry import FileSplits, reader
from workbench.errors import DatasetError

_STATE = "state.json"
_SPLITS = "dataset_dict.json"
_INFO = "dataset_info.json"


@reader("hf")
def open_hf_folder(path: Path) -> FileSplits | None:
    if (path / _SPLITS).is_file():
        names = _list_splits(path)
        if not names:
            raise DatasetError(f"{path / _SPLITS} names no split.", "Download it again.")
        return FileSplits(lambda name: _open_split(path / name), names)
    return FileSplits.whole(_open_split(path)) if (path / _STATE).is_file() else None


def _open_split(path: Path) -> TableSource:
    """The rows of a folder of one split. Raises DatasetError when a file of it is missing or broken."""
    return TableSource(path, "hf", "arrow", _find_files(path), _find_features(path))


def _list_splits(folder: Path) -> tuple[str, ...]:
    """The splits of a folder that holds several."""
    splits = _load(folder / _SPLITS).get("splits", [])
    names = splits if isinstance(splits, list) else []
    return tuple(name for name in names if isinstance(name, str) and _is_plain(name))


def _find_files(folder: Path) -> tuple[Path, ...]:
    state = _load(folder / _STATE)
    if state.get("_indices_data_files"):
        raise DatasetError(f"{folder} keeps a selection beside its rows.", "Call flatten_indices() and save it again.")
    listed = state.get("_data_files", [])
    entries = listed if isinstance(listed, list) else [listed]
    names = [entry.get("filename") for entry in entries if isinstance(entry, dict)]
    plain = [name for name in names if isinstance(name, str) and _is_plain(name)]
    if len(plain) != len(entries):
        raise DatasetError(f"{folder / _STATE} names files that are none of the folder's.", "Download it again.")
    paths = tuple(folder / name for name in plain)
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise DatasetError(
            f"{folder / _STATE} names files that are not there: {', '.join(missing)}.", "Download it again."
        )
    return paths


def _is_plain(name: str) -> bool:
    """Whether a name means a file of the folder itself: no other folder, nothing that a system cannot hold."""
    return 0 < len(name.encode("utf-8", "replace")) < 256 and not set(name) & set("/\\\0") and name not in (".", "..")


def _find_features(folder: Path) -> dict[str, Any]:
    path = folder / _INFO
    features = _load(path).get("features") if path.is_file() else None
    return features if isinstance(features, dict) else {}


def _load(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(files.read_text(path), type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise DatasetError(f"{path} cannot be read: {error}.", "Download it again.") from error
