"""The text of a file of another tool, without what an editor puts before it."""

from __future__ import annotations

from pathlib import Path

from workbench import files

_MARK = "\ufeff"


def read_unmarked(path: Path) -> str:
    """The file's text without a byte order mark, which no format reads as a part of it. Raises FileError."""
    return files.read_text(path).removeprefix(_MARK)
