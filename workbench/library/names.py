"""The name of a prompt in its library, and the file that belongs to it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from workbench import paths
from workbench.errors import PromptError

SUFFIX = ".prompty"
CHAIN_SUFFIX = ".chain.yaml"
SUFFIXES = (SUFFIX, CHAIN_SUFFIX)
_LONGEST_BYTES = 200


def strip_suffix(file: str) -> str:
    """A file's name without the suffix of a prompt."""
    return next((file.removesuffix(suffix) for suffix in SUFFIXES if file.endswith(suffix)), file)


def is_prompt(file: str) -> bool:
    """Whether a file's name is that of a prompt."""
    return file.endswith(SUFFIXES)


def get_suffix(path: Path) -> str:
    """The suffix of a prompt's file."""
    return CHAIN_SUFFIX if path.name.endswith(CHAIN_SUFFIX) else SUFFIX


def find_path(folder: Path, name: str) -> Path:
    """The file of a name such as `queues/few-shot`; it need not exist: then it would be a .prompty.

    Raises PromptError for a name that leads out of the folder, by itself or through a symbolic link.
    """
    path = make_path(folder, name)
    chain = make_path(folder, name, CHAIN_SUFFIX)
    return chain if chain.is_file() and not path.is_file() else path


def make_path(folder: Path, name: str, suffix: str = SUFFIX) -> Path:
    """The file of a name that has this suffix; it need not exist.

    Raises PromptError for a name that leads out of the folder, by itself or through a symbolic link.
    """
    if problem := _find_problem(name):
        raise PromptError(f"`{name}` cannot be a prompt's name: {problem}.", "A name is like `folder/prompt`.")
    path = folder / f"{name}{suffix}"
    if not paths.resolve(path).is_relative_to(paths.resolve(folder)):
        raise PromptError(f"`{name}` leads out of the library {folder} through a link.", "Put a real file there.")
    return path


def find_near(name: str, known: Iterable[str]) -> list[str]:
    """Up to three known names that look like this one, or end like it."""
    choices = list(known)
    tail = name.rpartition("/")[2]
    same = [choice for choice in choices if choice.rpartition("/")[2] == tail]
    return (same + [choice for choice in difflib.get_close_matches(name, choices) if choice not in same])[:3]


def _find_problem(name: str) -> str:
    for part in name.split("/"):
        if not part:
            return "a part of it is empty"
        if part.startswith("."):
            return "a part of it begins with a dot"
        if part != part.strip():
            return "a part of it begins or ends with a space"
        if "\\" in part or not part.isprintable():
            return "it holds a backslash or a character that cannot be seen"
        if len(part.encode()) > _LONGEST_BYTES:
            return f"a part of it is longer than {_LONGEST_BYTES} bytes"
    return ""
