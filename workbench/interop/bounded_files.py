"""Files that an imported file names: only those in its own folder, and only so many."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from workbench import files, paths
from workbench.errors import FileError, WorkbenchError

MOST_FILES = 1000
MOST_BYTES = 32 * 1024 * 1024
_MOST_LOOKED_AT = 50_000


class BoundedFiles:
    """The files of one folder; nothing outside it is read, also not by a symbolic link."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read = 0

    def resolve(self, name: str) -> Path:
        """The file of that name. Raises FileError where it leads out of the folder, or is not there."""
        written = name.removeprefix("file://")
        path = self.folder / written
        if "\0" in written or not paths.resolve(path).is_relative_to(paths.resolve(self.folder)):
            raise FileError(
                f"`{written}` is outside the folder {self.folder} of the imported file, and is not read.",
                "Copy the file into that folder.",
            )
        if not paths.exists(path):
            raise FileError(f"No such file: `{written}` in {self.folder}.", "Correct the path, or copy the file there.")
        return path

    def read(self, name: str) -> str:
        """The text of a file. Raises FileError, also for more than 32 MiB in all."""
        path = self.resolve(name)
        if not path.is_file():
            raise FileError(f"{path} is not a file.")
        self._read += path.stat().st_size
        if self._read > MOST_BYTES:
            raise FileError(f"The files that are named hold more than {MOST_BYTES // 1024**2} MiB.", "Import fewer.")
        return files.read_text(path)

    def glob(self, pattern: str) -> list[str]:
        """The files that fit a pattern such as `prompts/**/*.txt`, by name; at most 1,000.

        Raises FileError for a pattern that leads out of the folder, or fits more.
        """
        written = pattern.removeprefix("file://").removeprefix("./")
        if PurePosixPath(written).is_absolute() or ".." in PurePosixPath(written).parts:
            raise FileError(
                f"`{written}` is outside the folder {self.folder} of the imported file, and is not read.",
                "Copy the files into that folder.",
            )
        found = sorted(name for name in self._walk() if _fits(PurePosixPath(name), written))
        if len(found) > MOST_FILES:
            raise FileError(f"`{written}` fits {len(found):,} files; at most {MOST_FILES:,} are read.", "Name fewer.")
        return [name for name in found if self._is_inside(name)]

    def _is_inside(self, name: str) -> bool:
        try:
            return self.resolve(name).is_file()
        except WorkbenchError:
            return False

    def _walk(self) -> Iterator[str]:
        looked = 0
        for here, folders, names in os.walk(self.folder):
            folders[:] = [name for name in folders if name not in ("node_modules", ".git") and not name.startswith(".")]
            for name in names:
                looked += 1
                if looked > _MOST_LOOKED_AT:
                    raise FileError(f"{self.folder} holds more than {_MOST_LOOKED_AT:,} files.", "Name the files.")
                yield (Path(here) / name).relative_to(self.folder).as_posix()


def is_pattern(name: str) -> bool:
    """Whether a name stands for several files."""
    return any(character in name for character in "*?[{")


def _fits(path: PurePosixPath, pattern: str) -> bool:
    return any(_fits_parts(path.parts, PurePosixPath(one).parts) for one in _expand_braces(pattern))


def _fits_parts(parts: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    """Whether a path fits, where `**` stands for any number of folders."""
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return any(_fits_parts(parts[at:], patterns[1:]) for at in range(len(parts) + 1))
    return bool(parts) and PurePosixPath(parts[0]).match(patterns[0]) and _fits_parts(parts[1:], patterns[1:])


def _expand_braces(pattern: str, left: int = 64) -> list[str]:
    """`{a,b}.txt` as `a.txt` and `b.txt`."""
    start, end = pattern.find("{"), pattern.find("}")
    if start < 0 or end < start or left <= 0:
        return [pattern]
    choices = pattern[start + 1 : end].split(",")
    return [
        one
        for choice in choices[:left]
        for one in _expand_braces(pattern[:start] + choice + pattern[end + 1 :], left // max(len(choices), 1))
    ]
