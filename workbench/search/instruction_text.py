"""The instruction of a prompt: where it stands in the body, another text in its place, and the text that a model
proposes for it.

The instruction is the first system section, or the first user section of a body without one; in completion mode it is
the whole body.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from workbench.prompting.prompt import Prompt
from workbench.prompting.render import find_sections

_FENCE = re.compile(r"[ \t]*`{3,}[^`\n]*")
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


class Instruction(NamedTuple):
    """`body[start:end]`, without the line breaks around it."""

    start: int
    end: int
    text: str


def find_instruction(prompt: Prompt) -> Instruction:
    """Where the instruction of a prompt stands. An empty one where the body has neither section."""
    start, end = 0, len(prompt.body)
    if prompt.mode == "chat":
        sections = find_sections(prompt.body)
        by_role = [[one for one in sections if one.role == role] for role in ("system", "user")]
        section = next((found[0] for found in by_role if found), None)
        start, end = (section.start, section.end) if section else (0, 0)
    text = prompt.body[start:end]
    bare = text.strip("\r\n")
    start += text.index(bare)
    return Instruction(start, start + len(bare), bare)


def replace_instruction(prompt: Prompt, text: str) -> Prompt:
    """The prompt with another instruction; everything else stays, to the byte."""
    found = find_instruction(prompt)
    new = text.strip("\r\n")
    if not found.text and new:  # nothing to replace, and the next marker needs a line of its own
        new += "\n"
    body = prompt.body[: found.start] + new + prompt.body[found.end :]
    return msgspec.structs.replace(prompt, body=body)


class Parts(NamedTuple):
    """words: plain text before the first template tag's line. kept: that line and what follows it."""

    words: str
    kept: str


def split_instruction(text: str) -> Parts:
    """An instruction's plain words, and the rest that holds template tags."""
    lines = text.split("\n")
    first = next((at for at, line in enumerate(lines) if re.search(r"\{[{%#]", line)), len(lines))
    return Parts("\n".join(lines[:first]).strip(), "\n".join(lines[first:]).strip("\r\n"))


def find_tags(text: str) -> tuple[str, ...]:
    """The template tags of a text as they are written, each once, in order."""
    return tuple(dict.fromkeys(_TAG.findall(text)))


class SplitAnswer(NamedTuple):
    """instruction: what stands between the first line of backticks and the last one, each of three or more; "" without
    both. analysis: what was written before it.
    """

    instruction: str
    analysis: str = ""


def choose_fence(text: str) -> str:
    """A line of backticks that is not in a text."""
    return "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))


def split_answer(answer: str) -> SplitAnswer:
    """The instruction in a model's answer."""
    lines = answer.replace("\r\n", "\n").split("\n")
    fences = [at for at, line in enumerate(lines) if _FENCE.fullmatch(line)]
    if len(fences) < 2:
        return SplitAnswer("")
    between = "\n".join(lines[fences[0] + 1 : fences[-1]])
    return SplitAnswer(between.strip("\n"), "\n".join(lines[: fences[0]]).strip())
