"""Unfinished downloads: the names that browsers and download programs give to a file until it is whole.

Knows nothing of what is in a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from workbench.errors import ModelError

_ENDS = (
    *(".part", ".partial", ".incomplete", ".crdownload", ".opdownload", ".download", ".downloadinprogress"),
    *(".filepart", ".fdmdownload", ".dtapart", ".!qb", ".!ut", ".bc!", ".tmp", ".temp"),
)
_CONTROLS = (".aria2", ".st", ".aria2__temp")
"""What stands behind a file's whole name in a second file for as long as it is fetched."""

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
