"""A file that a prompt file refers to, which must be next to it or below.

A prompt file may come from anywhere, so it must not reach out of its own folder.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath, PureWindowsPath

from workbench import paths
from workbench.errors import PromptError

_FILE = re.compile(r"\$\{file:([^}]*)\}")


def find_reference(text: str, folder: Path) -> Path | None:
    """The file that a whole value `${file:…}` names; None when the value is something else."""
    match = _FILE.fullmatch(text.strip())
    return resolve_reference(match[1], folder) if match else None


def resolve_reference(relative: str, folder: Path) -> Path:
    """The file that a prompt in `folder` names; it need not exist.

    Raises PromptError for an absolute path, for `..`, and for a symbolic link that leads out of the folder.
    """
    match = _FILE.fullmatch(relative.strip())
    name = match[1] if match else relative
    parts = PurePosixPath(name).parts
    foreign = PureWindowsPath(name)
    inside = parts and ".." not in parts and ".." not in foreign.parts and "\0" not in name
    path = folder / name
    if not inside or foreign.drive or foreign.root or not paths.resolve(path).is_relative_to(paths.resolve(folder)):
        raise PromptError(
            f"names the file `{name}`, which is not in the prompt's own folder {folder}",
            "Move the file beside the prompt and name it by its relative path.",
        )
    return path
