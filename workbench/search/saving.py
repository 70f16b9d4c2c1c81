"""Writes a candidate as an ordinary prompt of the library, with where it came from in its front matter."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from workbench.errors import PromptError, WorkbenchError
from workbench.library.header import edit_header, read_header
from workbench.library.library import Library, OpenPrompt
from workbench.prompting.prompt import Prompt
from workbench.search.candidate import Candidate
from workbench.yaml_edit import amend
from workbench.yaml_tree import parse_yaml, to_plain

_MOST_NAMES = 1000


def save_candidate(
    library: Library, opened: OpenPrompt, candidate: Candidate, name: str, search: str = ""
) -> OpenPrompt:
    """Write a candidate beside the hand-written prompt, which `opened` is, with its examples in a file of their own.

    name: in the library; it has to be free. search: id of the search, noted with the parent under
    `metadata.optimized`. Raises PromptError and FileError.
    """
    prompt = msgspec.structs.replace(
        opened.prompt, body=candidate.body, examples=candidate.examples, placement=candidate.placement, name=name
    )
    noted = _note_origin(prompt, opened, candidate, search)
    return library.save_as(noted, name, opened)


def choose_name(library: Library, prompt: str) -> str:
    """A free name: the prompt's with `-optimized` and a number."""
    known = {entry.name for entry in library.entries()}
    base = re.sub(r"-optimized(-\d+)?$", "", prompt) + "-optimized"
    names = (base if number == 1 else f"{base}-{number}" for number in range(1, _MOST_NAMES))
    return next(name for name in names if name not in known)


def _note_origin(prompt: Prompt, opened: OpenPrompt, candidate: Candidate, search: str) -> Prompt:
    """The prompt with its parent in the front matter; as it is where that cannot take it, such as through an alias."""
    path = Path(opened.path)
    try:
        yaml = read_header(opened.prompt, opened.source, path)
        plain = to_plain(parse_yaml(yaml) or {}, strict=False)
        plain.setdefault("metadata", {})["optimized"] = {
            "parent": opened.prompt.name,
            "search": search,
            "origin": candidate.origin,
        }
        text = amend(yaml.replace("\r\n", "\n"), plain)
        edited = edit_header(opened.prompt, opened.source, text or yaml, path)
    except (PromptError, WorkbenchError, AttributeError, TypeError):
        return prompt
    return msgspec.structs.replace(prompt, header=edited.header)
