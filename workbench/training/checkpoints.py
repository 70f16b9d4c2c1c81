"""Checkpoints: the states of a training on the disk, each whole or not there at all.

A state is written into a hidden folder, then its manifest, then the folder gets its name. Knows nothing of what is in
a state; only of which there are, and which to keep.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from workbench import files
from workbench.training.guard import Standing
from workbench.training.progress import JobExamined

MANIFEST = "checkpoint.json"
SAVING = ".saving"


class Bookmark(msgspec.Struct, frozen=True):
    """Where a training stood. tokens, seconds: so far. best: the best examination so far; worse: how many came
    after it. files: name -> bytes of everything in the folder.
    """

    step: int
    tokens: int = 0
    seconds: float = 0.0
    best: JobExamined | None = None
    worse: int = 0
    guard: Standing = Standing()
    files: dict[str, int] = {}


class Checkpoint(msgspec.Struct, frozen=True):
    """A state that is whole."""

    path: Path
    bookmark: Bookmark

    @property
    def step(self) -> int:
        return self.bookmark.step


def find_checkpoints(folder: Path) -> tuple[Checkpoint, ...]:
    """The whole states in a folder, the earliest first."""
    found = [checkpoint for path in folder.glob("checkpoint-*") if (checkpoint := _read(path))]
    return tuple(sorted(found, key=lambda checkpoint: checkpoint.step))


def seal(folder: Path, name: str, bookmark: Bookmark) -> Path:
    """Make a state that was written into SAVING/name whole; where it is now. Raises OSError."""
    written = folder / SAVING / name
    sizes = {str(path.relative_to(written)): path.stat().st_size for path in _list_files(written)}
    for path in _list_files(written):
        _sync(path)
    manifest = msgspec.json.encode(msgspec.structs.replace(bookmark, files=sizes)).decode()
    files.write_text(written / MANIFEST, manifest)
    target = folder / name
    if target.exists():  # of an attempt that was killed later: the same state again
        shutil.rmtree(target)
    written.rename(target)
    with contextlib.suppress(OSError):  # something else may be written there
        written.parent.rmdir()
    _sync(folder)
    return target


def sweep(folder: Path) -> None:
    """Remove what was being written when a process ended."""
    shutil.rmtree(folder / SAVING, ignore_errors=True)


def prune(folder: Path, best: int | None) -> None:
    """Keep the latest state and the best one."""
    states = find_checkpoints(folder)
    for checkpoint in states[:-1]:
        if checkpoint.step != best:
            shutil.rmtree(checkpoint.path, ignore_errors=True)


def _read(path: Path) -> Checkpoint | None:
    try:
        bookmark = msgspec.json.decode((path / MANIFEST).read_bytes(), type=Bookmark)
        whole = all((path / name).stat().st_size == size for name, size in bookmark.files.items())
    except (OSError, msgspec.DecodeError):
        return None
    return Checkpoint(path, bookmark) if whole else None


def _list_files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
