"""Which prompts were renamed, so that what a prompt scored under an earlier name stays its own.

One JSON line a renaming, in a file of the user's data folder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench import files, paths


class Renaming(msgspec.Struct, frozen=True):
    """library: its folder, without links. at: seconds since 1970."""

    library: str
    old: str
    new: str
    at: float


class NameSpan(NamedTuple):
    """A name that a prompt had, after `start` and until `end`, in seconds since 1970."""

    name: str
    start: float
    end: float

    def holds(self, name: str, at: float) -> bool:
        """Whether what bore the name then is the prompt."""
        return name == self.name and self.start < at <= self.end


class PromptRenames:
    """The renamings that were made on this machine. Methods raise FileError."""

    def __init__(self, path: Path, clock: Callable[[], datetime]) -> None:
        self._path = path
        self._clock = clock

    def note(self, library: Path, old: str, new: str) -> None:
        """Keep a renaming that has just been done."""
        line = msgspec.json.encode(Renaming(_name(library), old, new, self._clock().timestamp())).decode()
        files.update_text(self._path, lambda text: f"{text}{line}\n")

    def list(self, library: Path) -> tuple[Renaming, ...]:
        """The renamings in a library, the first made first."""
        own = _name(library)
        return tuple(sorted((one for one in self._read() if one.library == own), key=lambda one: one.at))

    def find_names(self, library: Path, name: str) -> tuple[NameSpan, ...]:
        """The names that the prompt now called `name` has had, the current one first."""
        return find_names(self.list(library), name)

    def follow(self, library: Path, name: str) -> str:
        """What the prompt that was last called `name` is called now; `name` where it was not renamed."""
        current, at = name, -math.inf
        for one in self.list(library):
            if one.old == current and one.at > at:
                current, at = one.new, one.at
        return current

    def _read(self) -> Iterator[Renaming]:
        """Those that can be read: a line that is damaged costs its own renaming alone."""
        for line in files.split_lines(files.read_text(self._path)) if paths.exists(self._path) else ():
            try:
                yield msgspec.json.decode(line, type=Renaming)
            except msgspec.DecodeError:
                continue


def find_names(renamings: tuple[Renaming, ...], name: str) -> tuple[NameSpan, ...]:
    """The same of renamings in the order of their time. What another prompt was called before is not among them."""
    spans: list[NameSpan] = []
    end = math.inf
    while len(spans) <= len(renamings):
        came = next((one for one in reversed(renamings) if one.new == name and one.at < end), None)
        left = next((one for one in reversed(renamings) if one.old == name and one.at < end), None)
        if came is None or (left is not None and left.at > came.at):
            spans.append(NameSpan(name, left.at if left else -math.inf, end))
            break
        spans.append(NameSpan(name, came.at, end))
        name, end = came.old, came.at
    return tuple(spans)


def _name(library: Path) -> str:
    return str(paths.resolve(library)).encode("utf-8", "backslashreplace").decode()
