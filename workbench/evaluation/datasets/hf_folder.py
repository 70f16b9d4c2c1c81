"""A Hugging Face dataset on disk: the folder that `save_to_disk` of the `datasets` library writes.

Knows the files of the folder, not what an Arrow file holds. A folder of several splits has a folder for each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from workbench import files
from workbench.errors import DatasetError
from workbench.evaluation.datasets.tables import Table

STATE = "state.json"
SPLITS = "dataset_dict.json"
_INFO = "dataset_info.json"


def open_folder(path: Path) -> Table:
    """The rows of a folder of one split. Raises DatasetError when a file of it is missing or broken."""
    return Table(path, "hf", "arrow", _find_files(path), _find_features(path))


def list_parts(folder: Path) -> tuple[str, ...]:
    """The splits of a folder that holds several."""
    splits = _load(folder / SPLITS).get("splits", [])
    names = splits if isinstance(splits, list) else []
    return tuple(name for name in names if isinstance(name, str) and _is_plain(name))


def _find_files(folder: Path) -> tuple[Path, ...]:
    state = _load(folder / STATE)
    if state.get("_indices_data_files"):
        raise DatasetError(f"{folder} keeps a selection beside its rows.", "Call flatten_indices() and save it anew.")
    listed = state.get("_data_files", [])
    entries = listed if isinstance(listed, list) else [listed]
    names = [entry.get("filename") for entry in entries if isinstance(entry, dict)]
    plain = [name for name in names if isinstance(name, str) and _is_plain(name)]
    if len(plain) != len(entries):
        raise DatasetError(f"{folder / STATE} names files that are none of the folder's.", "Fetch it anew.")
    paths = tuple(folder / name for name in plain)
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise DatasetError(f"{folder / STATE} names files that are not there: {', '.join(missing)}.", "Fetch it anew.")
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
        raise DatasetError(f"{path} cannot be read: {error}.", "Fetch it anew.") from error
