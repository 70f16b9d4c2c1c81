"""Trash: deleted files, kept under the time of their deletion until a person empties the folder.

Knows nothing of what the files are.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from workbench import files
from workbench.errors import FileError


class Trashed(NamedTuple):
    """A file in the trash. name: its path in the folder that it was deleted from."""

    name: str
    path: Path


class Trash:
    """The deleted files in `folder`, which need not exist yet. Methods raise FileError."""

    def __init__(self, folder: Path, clock: Callable[[], datetime]) -> None:
        self.folder = folder
        self._clock = clock

    def put(self, path: Path, name: str) -> Path:
        """Move a file into the trash; where it is now."""
        stamp = self._clock().strftime("%Y%m%d-%H%M%S-%f")
        number = 1
        while (target := self.folder / f"{stamp}-{number}" / name).parent.exists():
            number += 1
        files.move(path, target)
        return target

    def list(self) -> tuple[Trashed, ...]:
        """Everything in the trash, the last deleted first."""
        found = [path for path in self.folder.rglob("*") if path.is_file()]
        return tuple(Trashed(self.name(path), path) for path in sorted(found, reverse=True))

    def name(self, path: Path) -> str:
        """The name that a file of the trash had."""
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise FileError(f"{path} is not in the trash {self.folder}.", "Choose a file that the trash lists.")
        return Path(*path.relative_to(self.folder).parts[1:]).as_posix()
