"""The front matter of a prompt as a text that a person edits: its comments and unknown keys are kept as they are."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from workbench.errors import PromptError
from workbench.library.formats import prompty
from workbench.library.formats.front_matter import FrontMatter, read_front_matter
from workbench.prompting.prompt import Prompt

_FENCE = re.compile(r"^(---|\+\+\+)[ \t]*\r?$", re.MULTILINE)


def read_header(prompt: Prompt, source: str, path: Path) -> str:
    """The text between the fences of the prompt's file, as it would be saved. source: the file's text, "" for none."""
    return prompty.split(prompty.dump(prompt, source, path), path).yaml


def edit_header(prompt: Prompt, source: str, yaml: str, path: Path) -> Prompt:
    """The prompt with another text between the fences.

    Raises PromptError that names line and key of everything that is wrong; the line behind the first fence is the
    second. The examples file cannot be changed so: the examples that are shown belong to it.
    """
    if fence := _FENCE.search(yaml):
        line = yaml.count("\n", 0, fence.start()) + 2
        raise PromptError(f"{path}:{line}: a line `{fence[1]}` ends the front matter.", "Remove or indent it.")
    before = read_front_matter(read_header(prompt, source, path), path)
    after = read_front_matter(yaml, path)
    _check_examples(before, after, path)
    saved = prompty.split(source, path).yaml
    edited = msgspec.structs.replace(
        prompt,
        description=after.description,
        defaults=after.defaults,
        kinds=after.kinds,
        unsupported=after.unsupported,
        tools=after.tools,
        placement=after.placement,
        nearest=after.nearest,
        mode=after.mode,
        steps=after.steps,
        header=msgspec.UNSET if yaml == saved else yaml,
    )
    prompty.dump(edited, source, path)  # refuses what cannot be written
    return edited


def _check_examples(before: FrontMatter, after: FrontMatter, path: Path) -> None:
    if after.examples != before.examples:
        raise PromptError(
            f"{path}: `metadata.workbench.examples` is {after.examples or 'empty'!r}, expected {before.examples!r}.",
            "Save the prompt and change the examples file in another editor.",
        )
