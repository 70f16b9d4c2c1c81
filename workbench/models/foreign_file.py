"""Files from elsewhere, opened with care: only regular ones, up to a size, and JSON in them only as an object.

A pipe or a device in the place of a file would be read for ever. Knows nothing of what the files mean.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from workbench.errors import ModelError

LONGEST_JSON = 64 * 2**20
"""Bytes of a configuration or of an index of weights; the largest there are have a few million."""

_LONGEST_SHOWN = 100
_AGAIN = "Fetch it again."


def is_regular(path: Path) -> bool:
    """Whether there is a file, also for names that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder, also for names that no folder can have."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def open_regular(path: Path | str) -> BinaryIO:
    """A file, opened for reading. Raises OSError, also for what is none: a folder, a pipe, a device."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError as error:
        raise OSError(0, str(error)) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "it is no file")
    return os.fdopen(descriptor, "rb")


def check_name(path: Path) -> None:
    """Raise ModelError for a name that could not be told to an engine, nor written down anywhere."""
    if str(path) != printable(str(path)):
        raise ModelError(f"The name of {printable(str(path))} is not UTF-8.", "Rename it.")


def printable(name: str) -> str:
    """A file's name, with bytes that are no text spelled out."""
    return name.encode(errors="backslashreplace").decode()


def read_object(path: Path, hint: str = _AGAIN, wrong: str = "is not a JSON object") -> dict[str, Any]:
    """The JSON object in a file. wrong: what is said of a file that holds none. Raises ModelError."""
    try:
        with open_regular(path) as stream:
            raw = stream.read(LONGEST_JSON + 1)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.", hint) from error
    if len(raw) > LONGEST_JSON:
        raise ModelError(f"{path} has more than {LONGEST_JSON // 2**20} MiB, which no such file has.", hint)
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ModelError(f"{path} {wrong}: {shorten(str(error))}.", hint) from error


def shorten(text: str) -> str:
    """Foreign text as a part of a sentence: its beginning, where it is long."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
