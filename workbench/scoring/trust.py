"""Trust: which Python code a bench would run, for answers or tool calls, and which of it a user has agreed to.

A bench from elsewhere must not run code by being opened. Agreement is to the content of a file and of all the modules
that it loads from the user's folders, at their place, and to what its process may use: any change asks again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from workbench import files, paths
from workbench.errors import FileError, ScorerError
from workbench.scoring.local_code import LocalCode, read_code
from workbench.scoring.permissions import Permissions, read_permissions, unite

Spec = str | dict[str, dict[str, Any]]

_MOST_KEPT = 20
"""States of one file that are remembered: going back to an earlier one does not ask again."""


def find_code(specs: Sequence[Spec], folder: Path) -> tuple[LocalCode, ...]:
    """The code that these scorers would run; files that are missing are left out. folder: the bench's.

    Raises ScorerError for code that cannot be looked through.
    """
    return tuple(_locate(specs, folder))


def find_untrusted(specs: Sequence[Spec], folder: Path) -> tuple[LocalCode, ...]:
    """The same of which nobody has agreed to yet."""
    return _leave_out_trusted(find_code(specs, folder))


def require_trust(specs: Sequence[Spec], folder: Path) -> tuple[LocalCode, ...]:
    """The code that these scorers would run, all of it agreed to. Raises ScorerError where it is not."""
    found = find_code(specs, folder)
    if unknown := _leave_out_trusted(found):
        raise ScorerError(
            f"This bench runs Python code that nobody has agreed to:\n{describe_code(unknown)}",
            "Read it. If you trust it, run again with --trust, or open the bench on the screen and confirm.",
        )
    return found


def trust(found: Sequence[LocalCode]) -> None:
    """Remember that a user agreed to this code as it was read. Raises FileError."""

    def add(text: str) -> str:
        known = _decode(text)
        for code in found:
            others = [digest for digest in known.get(code.file, []) if digest != code.digest]
            known[code.file] = [*others, code.digest][-_MOST_KEPT:]
        return msgspec.json.format(msgspec.json.encode(known)).decode()

    files.update_text(_file(), add)


def describe_code(found: Sequence[LocalCode]) -> str:
    """The files, a line each, with what they may use and what they load below them."""
    lines = []
    for code in found:
        lines.append(f"  {code.file}")
        lines += [f"    {permission}" for permission in code.permissions.describe()]
        lines += [f"    loads {path}" for path in code.others[:12]]
        if len(code.others) > 12:
            lines.append(f"    and {len(code.others) - 12} more files")
    return "\n".join(lines)


def without_code(specs: Sequence[Spec]) -> tuple[Spec, ...]:
    """The scorers that run nobody's code."""
    return tuple(spec for spec in specs if not list(_find([spec])))


def _leave_out_trusted(found: Sequence[LocalCode]) -> tuple[LocalCode, ...]:
    trusted = _read()
    return tuple(code for code in found if code.digest not in trusted.get(code.file, ()))


def _locate(specs: Sequence[Spec], folder: Path) -> Iterator[LocalCode]:
    for name, permissions in dict.fromkeys(one for spec in specs for one in _find_permitted(spec)):
        try:
            yield read_code(paths.find_input(name, folder), folder, permissions)
        except FileError:
            continue  # whoever makes the scorers says so


def _find_permitted(spec: Spec) -> Iterator[tuple[str, Permissions]]:
    """Each file that a scorer runs, with what its process may use: the parts of one scorer share a process."""
    options = list(_find(spec))
    together = unite(read_permissions(one) for one in options)
    yield from ((one["file"], together) for one in options)


def _find(value: Any) -> Iterator[dict[str, Any]]:
    """The options of every `python: {file: …}`, however deep."""
    if isinstance(value, dict):
        inner = value.get("python")
        if isinstance(inner, dict) and isinstance(inner.get("file"), str):
            yield inner
        for item in value.values():
            yield from _find(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _find(item)


def _read() -> dict[str, list[str]]:
    try:
        return _decode(files.read_text(_file()))
    except FileError:
        return {}  # nothing is trusted that cannot be read


def _decode(text: str) -> dict[str, list[str]]:
    try:
        return msgspec.json.decode(text, type=dict[str, list[str]])
    except msgspec.DecodeError:
        return {}


def _file() -> Path:
    return paths.data_folder() / "trusted.json"
