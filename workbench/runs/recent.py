"""The benches and other files that were opened last, in lists of a person's own."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from workbench import files, paths
from workbench.errors import FileError

_MOST = 20
_BENCHES = "benches"


def list_recent(kind: str = _BENCHES) -> tuple[Path, ...]:
    """Those of a kind that are still there, the last first."""
    return tuple(path for path in _read(kind) if paths.exists(path) and path.is_file())


def remember_bench(path: Path) -> None:
    """Put a bench first."""
    remember_file(path, _BENCHES)


def remember_file(path: Path, kind: str) -> None:
    """Put a file first. Where the list cannot be written it stays as it was: opening does not depend on it."""
    path = path.absolute()
    recent = [path, *(other for other in _read(kind) if other != path)]
    with contextlib.suppress(FileError):
        files.write_text(_list_file(kind), msgspec.json.encode([str(one) for one in recent[:_MOST]]).decode())


def _list_file(kind: str) -> Path:
    return paths.data_folder() / f"recent-{kind}.json"


def _read(kind: str) -> list[Path]:
    try:
        return [Path(name) for name in msgspec.json.decode(files.read_text(_list_file(kind)), type=list[str])]
    except (FileError, msgspec.DecodeError):  # none yet, or not a list of ours
        return []
