"""Trust: which Python files a bench would run to judge answers, and which of them a person has agreed to.

A bench from elsewhere must not run code by being opened. Agreement is to a file's content: a changed file asks again.
Knows nothing of how it is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from workbench import files, paths
from workbench.errors import FileError

Spec = str | dict[str, dict[str, Any]]


def find_untrusted(specs: Sequence[Spec], folder: Path) -> tuple[Path, ...]:
    """The files that these scorers would run and that nobody has agreed to yet; those that are missing are left out."""
    trusted = _read()
    return tuple(path for path in _locate(specs, folder) if files.digest(path) not in trusted)


def trust(found: Sequence[Path]) -> None:
    """Remember that a person agreed to these files as they are now. Raises FileError."""
    known = _read() | {files.digest(path): str(path) for path in found}
    files.write_text(_file(), msgspec.json.format(msgspec.json.encode(known)).decode())


def without_code(specs: Sequence[Spec]) -> tuple[Spec, ...]:
    """The scorers that run nobody's code."""
    return tuple(spec for spec in specs if not list(_find([spec])))


def _locate(specs: Sequence[Spec], folder: Path) -> Iterator[Path]:
    for name in dict.fromkeys(_find(specs)):
        try:
            yield paths.find_input(name, folder)
        except FileError:
            continue  # whoever makes the scorers says so


def _find(value: Any) -> Iterator[str]:
    """Every `python: {file: …}`, however deep."""
    if isinstance(value, dict):
        inner = value.get("python")
        if isinstance(inner, dict) and isinstance(inner.get("file"), str):
            yield inner["file"]
        for item in value.values():
            yield from _find(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _find(item)


def _read() -> dict[str, str]:
    try:
        return msgspec.json.decode(files.read_text(_file()), type=dict[str, str])
    except (FileError, msgspec.DecodeError):
        return {}  # nothing is trusted that cannot be read


def _file() -> Path:
    return paths.data_folder() / "trusted.json"
