"""Files from elsewhere, opened with care: regular files only, bounded JSON, unfinished downloads recognised by name.

A pipe or a device in the place of a file would block a read for ever.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
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
        raise OSError(0, "it is not a regular file")
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


_ENDS = (
    *(".part", ".partial", ".incomplete", ".crdownload", ".opdownload", ".download", ".downloadinprogress"),
    *(".filepart", ".fdmdownload", ".dtapart", ".!qb", ".!ut", ".bc!", ".tmp", ".temp"),
)
_CONTROLS = (".aria2", ".st", ".aria2__temp")
"""Suffixes of a control file that exists beside a download until it is complete."""

_MARKED = re.compile(
    rf"(?:downloading_|unconfirmed )?(?P<name>.+?)(?:{'|'.join(map(re.escape, _ENDS))}|-partial)(?:[-.]\d+)?"
)
_BEGUN = re.compile(r"downloading_(?P<name>.+)")


def finished_name(name: str) -> str | None:
    """What a file will be called once it is whole; None for one that is not marked as unfinished."""
    found = _MARKED.fullmatch(name.lower()) or _BEGUN.fullmatch(name.lower())
    return found["name"] if found else None


def find_unfinished(name: str, among: Iterable[str]) -> str | None:
    """The entry of a folder that will be `name` once it is fetched; None where there is none."""
    wanted = name.lower()
    return next((entry for entry in among if finished_name(entry) == wanted), None)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def check_finished(path: Path) -> None:
    """Raise ModelError for a file whose name, or a file beside it, says that its download has not ended."""
    control = next((path.name + end for end in _CONTROLS if _is_there(path.with_name(path.name + end))), None)
    bundle = path.parent.name if finished_name(path.parent.name) == path.name.lower() else None
    if finished_name(path.name) is None and control is None and bundle is None:
        return
    sign = f" ({control or bundle} says so)" if control or bundle else ""
    raise ModelError(
        f"{path} is a download that has not finished{sign}.",
        "Wait until it is whole, or fetch it again; what is left of a broken one can be deleted.",
    )
