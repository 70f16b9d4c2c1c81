"""The `.prompty` file: front matter and a body. A `.chain.yaml` is front matter alone.

The body is kept byte for byte, and so is the front matter while nothing in it changes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from workbench.errors import PromptError
from workbench.library.formats.front_matter import FrontMatter, read_front_matter, same, write_front_matter
from workbench.library.names import CHAIN_SUFFIX
from workbench.prompting.prompt import Prompt
from workbench.prompting.steps import find_step_problems

_OPENING = re.compile(r"\A\ufeff?(---|\+\+\+)[ \t]*\r?\n")


class FileParts(NamedTuple):
    """A file's text in pieces that add up to it: `opening + yaml + closing + body`.

    Without front matter, opening is empty or a byte order mark, and yaml and closing are empty.
    """

    opening: str
    yaml: str
    closing: str
    body: str


class LoadedPrompt(NamedTuple):
    """A prompt without its examples, and the examples file it names; empty when it names none. tags: by which it is
    found, and which ask nothing."""

    prompt: Prompt
    examples: str
    tags: tuple[str, ...] = ()


def split(text: str, path: Path) -> FileParts:
    """The pieces of a file's text. Raises PromptError when the front matter is never closed."""
    if is_chain_file(path):
        return FileParts("", text, "", "")
    opening = _OPENING.match(text)
    if opening is None:
        mark = "\ufeff" if text.startswith("\ufeff") else ""
        return FileParts(mark, "", "", text.removeprefix(mark))
    fence = re.compile(rf"^{re.escape(opening[1])}[ \t]*(?:\r?\n|\Z)", re.MULTILINE)
    closing = fence.search(text, opening.end())
    if closing is None:
        raise PromptError(
            f"{path}:1: the front matter opens with `{opening[1]}` and is never closed.",
            f"Put a line `{opening[1]}` between the front matter and the prompt.",
        )
    return FileParts(opening[0], text[opening.end() : closing.start()], closing[0], text[closing.end() :])


def is_chain_file(path: Path) -> bool:
    """Whether a file has no body and no fences."""
    return path.name.endswith(CHAIN_SUFFIX)


def load(text: str, name: str, path: Path) -> LoadedPrompt:
    """The prompt in a file's text. path: where the text is from, for messages and for what it refers to.

    Raises PromptError that names file, line and key of everything that is wrong.
    """
    parts = split(text, path)
    header = read_front_matter(parts.yaml, path)
    prompt = Prompt(
        name=name,
        body=parts.body,
        description=header.description,
        defaults=header.defaults,
        placement=header.placement,
        nearest=header.nearest,
        mode=header.mode,
        kinds=header.kinds,
        unsupported=header.unsupported,
        tools=header.tools,
        options=header.options,
        steps=header.steps,
    )
    problems = [f"{path}: {problem}" for problem in find_step_problems(prompt)]
    if is_chain_file(path) and not prompt.steps:
        problems.append(f"{path}: it has no `steps`")
    if problems:
        raise PromptError("\n".join(problems), "Correct the steps of the prompt file. docs/chains.md describes them.")
    return LoadedPrompt(prompt, header.examples, header.tags)


def dump(prompt: Prompt, source: str = "", path: Path = Path(), examples: str | None = None) -> str:
    """The text of a file that holds the prompt.

    source: the text it was read from, whose comments, unknown keys and spacing are kept.
    examples: the examples file to name; None names the one that the source names.
    """
    parts = split(source, path)
    newline = _find_newline(parts, source, prompt)
    if isinstance(prompt.header, str):
        parts = _put_header(parts, prompt.header, newline)
    header = read_front_matter(parts.yaml, path)
    wanted = FrontMatter(
        description=prompt.description,
        defaults=dict(prompt.defaults),
        placement=prompt.placement,
        nearest=prompt.nearest,
        mode=prompt.mode,
        examples=header.examples if examples is None else examples,
        kinds=prompt.kinds,
        unsupported=header.unsupported,
        steps=prompt.steps,
    )
    if is_chain_file(path) and prompt.body:
        raise PromptError(f"{path}: a chain's file has no body.", "Add a step for it, or save it as a .prompty.")
    if not same(wanted, header):
        parts = _change(parts, wanted, path, newline)
    text = _join(parts, prompt.body)
    if split(text, path).body != prompt.body:  # the body itself begins like front matter
        text = _join(FileParts(parts.opening + "---\n", "", "---\n", ""), prompt.body)
    return text


def _find_newline(parts: FileParts, source: str, prompt: Prompt) -> str:
    style = parts.opening if parts.closing else source or prompt.body
    return "\r\n" if "\r\n" in style else "\n"


def _put_header(parts: FileParts, yaml: str, newline: str) -> FileParts:
    """The same with another text between the fences, which it gets where it has none."""
    text = yaml if not yaml or yaml.endswith("\n") else yaml + newline
    if parts.closing or not text or (not parts.opening and parts.yaml):
        return parts._replace(yaml=text)
    return FileParts(f"{parts.opening}---{newline}", text, f"---{newline}", parts.body)


def _change(parts: FileParts, header: FrontMatter, path: Path, newline: str) -> FileParts:
    yaml = write_front_matter(parts.yaml, header, path, newline)
    if parts.closing or is_chain_file(path):
        return parts._replace(yaml=yaml)
    return FileParts(f"{parts.opening}---{newline}", yaml, f"---{newline}", "")


def _join(parts: FileParts, body: str) -> str:
    head = parts.opening + parts.yaml + parts.closing
    if parts.closing and body and not head.endswith("\n"):
        head += "\n"
    return head + body
