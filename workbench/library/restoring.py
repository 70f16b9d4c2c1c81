"""An earlier version of a prompt in place of the current one, without a loss of what is there."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from workbench.library.library import Library
from workbench.library.names import get_suffix
from workbench.library.open_prompt import OpenPrompt
from workbench.library.versions import digest_prompt
from workbench.prompting.prompt import Prompt
from workbench.prompting.steps import without_contents


class RestoredPrompt(NamedTuple):
    """path: the file that was written. kept: copies, in the trash, of what it replaced."""

    path: Path
    kept: tuple[Path, ...]


def restore_text(present: Prompt, version: Prompt) -> Prompt:
    """The version under the present name, description and front matter, which belong to no version."""
    header = UNSET if digest_prompt(present) != digest_prompt(version) else present.header
    return replace(
        without_contents(version),
        name=present.name,
        description=present.description,
        unsupported=present.unsupported,
        header=header,
    )


def restore_version(library: Library, name: str, version: Prompt) -> RestoredPrompt | None:
    """Write a version into the prompt's file and its examples'; None where it reads so already.

    A prompt that was deleted is written anew; one of another folder gets a copy in the library's own.
    Raises PromptError and FileError.
    """
    if library.find(name) is None:
        return RestoredPrompt(library.save_as(without_contents(version), name).path, ())
    opened = library.open(name)
    if digest_prompt(opened.prompt) == digest_prompt(version):
        return None
    kept = () if opened.read_only else _keep(library, opened)
    return RestoredPrompt(library.save(opened, restore_text(opened.prompt, version)).path, kept)


def _keep(library: Library, opened: OpenPrompt) -> tuple[Path, ...]:
    """Copies of the prompt's file and its examples' in the trash, from which the prompt can be restored."""
    name = f"{opened.prompt.name}{get_suffix(opened.path)}"
    held = {name: opened.path}
    if opened.examples_path is not None:
        held[(Path(name).parent / opened.examples_path.name).as_posix()] = opened.examples_path
    return library.trash.keep_copies(held)
