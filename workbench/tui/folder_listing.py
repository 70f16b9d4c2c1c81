"""What a file dialog lists: a folder's entries that fit what is typed, and what a typed or pasted text names.

Knows no widget.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from workbench import paths
from workbench.errors import FileError


class Entry(NamedTuple):
    """A folder or file. size in bytes and modified in seconds since the epoch, of files."""

    path: Path
    is_folder: bool
    size: int = 0
    modified: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.path.name}/" if self.is_folder else self.path.name


class Typed(NamedTuple):
    """What was typed: the folder that it leads to, and the words that a name there has to hold."""

    folder: Path
    words: str
    path: Path
    """the whole of it, as a path"""


def list_folder(folder: Path) -> tuple[Entry, ...]:
    """Folders first, then files, each in the order of the alphabet; what is neither is left out.

    Raises FileError that says in words why a folder cannot be read.
    """
    try:
        with os.scandir(folder) as found:
            entries = [_read_entry(one) for one in found]
    except NotADirectoryError as error:
        raise FileError(f"{folder} is a file, not a folder.", "Press enter to open it.") from error
    except FileNotFoundError as error:
        raise FileError(f"No such folder: {folder}.", "Correct the path, or press esc.") from error
    except PermissionError as error:
        raise FileError(f"You may not read the folder {folder}.", "Choose another one.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(f"Cannot read the folder {folder}: {reason}.", "Choose another one.") from error
    kept = [entry for entry in entries if entry is not None]
    return tuple(sorted(kept, key=lambda entry: (not entry.is_folder, entry.path.name.lower())))


def _read_entry(found: os.DirEntry[str]) -> Entry | None:
    try:
        if found.is_dir():
            return Entry(Path(found.path), True)
        if not found.is_file():
            return None
        about = found.stat()
    except OSError:  # gone meanwhile, a loop of links
        return None
    return Entry(Path(found.path), False, about.st_size, about.st_mtime)


def filter_entries(entries: Sequence[Entry], words: str, suffixes: Sequence[str]) -> list[Entry]:
    """Those whose names hold every word, the wanted files before other ones; hidden ones only where a dot is typed."""
    wanted = words.lower().split()
    found = [
        entry
        for entry in entries
        if all(word in entry.path.name.lower() for word in wanted)
        and (not entry.path.name.startswith(".") or words.startswith("."))
    ]
    return sorted(found, key=lambda entry: not (entry.is_folder or fits(entry.path, suffixes)))


def fits(path: Path, suffixes: Sequence[str]) -> bool:
    """Whether a file is of a wanted kind."""
    return path.name.lower().endswith(tuple(suffixes))


def read_typed(text: str, folder: Path) -> Typed:
    """What a typed or pasted text means in a folder: words for a name, or a path. Raises FileError for no path."""
    path = paths.read_pasted(text)
    whole = folder / path
    if not text.strip() or not _names_folder(text):
        return Typed(folder, text.strip(), whole)
    if text.rstrip("\"' ").endswith(os.sep) or path.name in ("..", "~", "") or is_folder(whole):
        return Typed(Path(os.path.normpath(whole)), "", whole)
    return Typed(Path(os.path.normpath(whole.parent)), path.name, whole)


def _names_folder(text: str) -> bool:
    return os.sep in text or text.strip().strip("\"'").startswith("~") or text.strip() == ".."


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; not for a name that is too long to be one."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def complete(entries: Sequence[Entry], words: str) -> str:
    """The longest beginning that all names which begin so share, a folder's with its slash; "" where none does."""
    names = [entry.name for entry in entries if entry.path.name.lower().startswith(words.lower())]
    if not names:
        return ""
    first, last = min(names), max(names)  # what these share, all share
    return next((first[:at] for at in range(len(first)) if not last.startswith(first[: at + 1])), first)
