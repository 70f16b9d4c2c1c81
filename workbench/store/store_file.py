"""Whether a file that a person names is a store, before it is opened as one: opening brings a file up to date."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from workbench.errors import StoreError

_HEADER = b"SQLite format 3\0"


def check_store_file(path: Path, new: bool = False) -> None:
    """Raise StoreError for anything but a store of runs; nothing is changed in the file. new: it need not be there."""
    if not path.exists():
        if new:
            return
        raise StoreError(f"No such file: {path}.", "Name the store that `workbench eval --store` wrote.")
    try:
        with path.open("rb") as stream:
            header = stream.read(len(_HEADER))
    except OSError as error:
        raise StoreError(f"Cannot read {path}: {error.strerror}.", "Check the path and its permissions.") from error
    if new and not header:
        return
    if header != _HEADER or not _has_runs(path):
        raise StoreError(f"{path} is not a store of runs.", "Name the file that `workbench eval --store` wrote.")


def _has_runs(path: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error:  # a damaged store: opening it recovers what can be read, and says so
        return True
    return {"runs", "cells", "completions"} <= names
