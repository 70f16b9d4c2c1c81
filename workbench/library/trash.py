"""Deleted prompt files, kept under the time of their deletion until the trash is emptied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from workbench import files
from workbench.errors import FileError
from workbench.library.names import SUFFIXES


class TrashedPrompt(NamedTuple):
    """A file in the trash. name: its path in the folder that it was deleted from."""

    name: str
    path: Path


class PromptTrash:
    """The deleted files in `folder`, which need not exist yet. Methods raise FileError."""

    def __init__(self, folder: Path, clock: Callable[[], datetime]) -> None:
        self.folder = folder
        self._clock = clock

    def put(self, path: Path, name: str) -> Path:
        """Move a file into the trash; where it is now."""
        target = self._find_free() / name
        files.move(path, target)
        return target

    def keep_copies(self, held: Mapping[str, Path]) -> tuple[Path, ...]:
        """Put copies of files that are about to be written over into the trash, by their names; where they are."""
        folder = self._find_free()
        for name, path in held.items():
            files.copy(path, folder / name)
        return tuple(folder / name for name in held)

    def list(self) -> tuple[TrashedPrompt, ...]:
        """The prompts in the trash, the last deleted first."""
        found = [path for suffix in SUFFIXES for path in self.folder.rglob(f"*{suffix}") if path.is_file()]
        return tuple(TrashedPrompt(self.name(path), path) for path in sorted(found, reverse=True))

    def name(self, path: Path) -> str:
        """The name that a file of the trash had."""
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise FileError(f"{path} is not in the trash {self.folder}.", "Choose a file that the trash lists.")
        return Path(*path.relative_to(self.folder).parts[1:]).as_posix()

    def _find_free(self) -> Path:
        """A folder for what is deleted now."""
        stamp = self._clock().strftime("%Y%m%d-%H%M%S-%f")
        number = 1
        while (folder := self.folder / f"{stamp}-{number}").exists():
            number += 1
        return folder
