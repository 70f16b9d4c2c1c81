"""The split that a file's name begins with, such as `test-00000.parquet`."""

from __future__ import annotations

import re
from pathlib import Path

SPLIT_NAME = re.compile(r"(train|training|validation|valid|val|dev|test|testing|eval)(?![a-z0-9])", re.IGNORECASE)


def split_of(path: Path) -> str:
    """The split, "" where the name begins with none."""
    found = SPLIT_NAME.match(path.stem)
    return found[1].lower() if found else ""
