"""Prompty: the `.prompty` file, front matter and a body.

Knows where the front matter ends; what is in it is front_matter.py's business. Knows nothing of folders or of
examples. The body is kept byte for byte, and so is the front matter while nothing in it changes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from workbench.errors import PromptError
from workbench.library.formats.front_matter import Header, read_header, same, write_header
from workbench.prompting.prompt import Prompt

_OPENING = re.compile(r"\A\ufeff?(---|\+\+\+)[ \t]*\r?\n")


class Parts(NamedTuple):
    """A file's text in pieces that add up to it: `opening + yaml + closing + body`.

    Without front matter, opening is empty or a byte order mark, and yaml and closing are empty.
    """

    opening: str
    yaml: str
    closing: str
    body: str


class Loaded(NamedTuple):
    """A prompt without its examples, and the examples file it names; empty when it names none."""

    prompt: Prompt
    examples: str


def split(text: str, path: Path) -> Parts:
    """The pieces of a file's text. Raises PromptError when the front matter is never closed."""
    opening = _OPENING.match(text)
    if opening is None:
        mark = "\ufeff" if text.startswith("\ufeff") else ""
        return Parts(mark, "", "", text.removeprefix(mark))
    fence = re.compile(rf"^{re.escape(opening[1])}[ \t]*(?:\r?\n|\Z)", re.MULTILINE)
    closing = fence.search(text, opening.end())
    if closing is None:
        raise PromptError(
            f"{path}:1: the front matter opens with `{opening[1]}` and is never closed.",
            f"Put a line `{opening[1]}` between the front matter and the prompt.",
        )
    return Parts(opening[0], text[opening.end() : closing.start()], closing[0], text[closing.end() :])


def load(text: str, name: str, path: Path) -> Loaded:
    """The prompt in a file's text. path: where the text is from, for messages and for what it refers to.

    Raises PromptError that names file, line and key of everything that is wrong.
    """
    parts = split(text, path)
    header = read_header(parts.yaml, path)
    prompt = Prompt(
        name=name,
        body=parts.body,
        description=header.description,
        defaults=header.defaults,
        placement=header.placement,
        mode=header.mode,
        kinds=header.kinds,
        unused=header.unused,
    )
    return Loaded(prompt, header.examples)


def dump(prompt: Prompt, source: str = "", path: Path = Path(), examples: str | None = None) -> str:
    """The text of a file that holds the prompt.

    source: the text it was read from, whose comments, unknown keys and spacing are kept.
    examples: the examples file to name; None names the one that the source names.
    """
    parts = split(source, path)
    header = read_header(parts.yaml, path)
    wanted = Header(
        description=prompt.description,
        defaults=dict(prompt.defaults),
        placement=prompt.placement,
        mode=prompt.mode,
        examples=header.examples if examples is None else examples,
        kinds=prompt.kinds,
        unused=header.unused,
    )
    if not same(wanted, header):
        style = parts.opening if parts.closing else source or prompt.body
        parts = _change(parts, wanted, path, newline="\r\n" if "\r\n" in style else "\n")
    text = _join(parts, prompt.body)
    if split(text, path).body != prompt.body:  # the body itself begins like front matter
        text = _join(Parts(parts.opening + "---\n", "", "---\n", ""), prompt.body)
    return text


def _change(parts: Parts, header: Header, path: Path, newline: str) -> Parts:
    yaml = write_header(parts.yaml, header, path, newline)
    if parts.closing:
        return parts._replace(yaml=yaml)
    return Parts(f"{parts.opening}---{newline}", yaml, f"---{newline}", "")


def _join(parts: Parts, body: str) -> str:
    head = parts.opening + parts.yaml + parts.closing
    if parts.closing and body and not head.endswith("\n"):
        head += "\n"
    return head + body
