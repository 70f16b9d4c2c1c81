"""A prompt's messages as the text of a body, and back, so that every text comes back as it was.

Line breaks at the edges of a section are layout, and a line such as `user:` begins one. A text that has either is
written with a template expression that prints the very same: `{{ "\\n" }}`, or an empty text before the line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import NamedTuple

from workbench.prompting.prompt import Prompt, Role
from workbench.prompting.render import find_sections
from workbench.prompting.template import MARKER

_EMPTY = '{{ "" }}'
_BREAKS = r'\{\{ "(?:\\n|\\r)+" \}\}'
_FIRST = re.compile(rf"\A(?:{re.escape(_EMPTY)})*{_BREAKS}")
_LAST = re.compile(rf"{_BREAKS}(?:{re.escape(_EMPTY)})*\Z")
_TAG = r"\{%-?(?:(?!%\}).)*%\}"
_TAGS_FIRST = re.compile(rf"\A{_TAG}(?:{_TAG}|[\r\n]+|{_BREAKS})*", re.DOTALL)
_TAGS_LAST = re.compile(rf"(?:{_TAG}|[\r\n]+|{_BREAKS})*{_TAG}\Z", re.DOTALL)
"""Blocks at an edge: a line break inside them would be at the edge of what is rendered, and is text."""
_LITERAL = re.compile(r"\{\{ (\"(?:[^\"\\]|\\.)*\") \}\}")


class Section(NamedTuple):
    """A role and the text of its message, which may be a template."""

    role: Role
    text: str


def join_sections(sections: Iterable[Section]) -> str:
    """The body of these messages, each with its marker."""
    return "\n\n".join(f"{role}:\n{_guard(text)}" for role, text in sections) + "\n"


def split_sections(prompt: Prompt) -> tuple[Section, ...]:
    """The messages of a prompt as templates; of one in completion mode, its whole text."""
    if prompt.mode == "completion":
        return (Section("user", prompt.body),)
    found = []
    for section in find_sections(prompt.body):
        text = prompt.body[section.start : section.end].strip("\r\n")
        found.append(Section(section.role, _unguard(text)))
    return tuple(one for one in found if one.text.strip() or one.role != "system")


def quote_literal(text: str) -> str:
    """A text as a template that prints it, whatever stands behind it."""
    return re.sub(r"\{[{%#]+|[%#}]\}+|\{\Z", lambda found: f"{{{{ {json.dumps(found[0])} }}}}", text)


def unquote_literal(template: str) -> str | None:
    """The text that a template prints whatever the variables are; None for one that asks for variables or acts."""
    pieces = _LITERAL.split(template)
    if any(re.search(r"\{[{%#]", piece) for piece in pieces[::2]):
        return None
    return "".join(json.loads(piece) if at % 2 else piece for at, piece in enumerate(pieces))


def _guard(text: str) -> str:
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if MARKER.fullmatch(_strip_empty(line)):
            lines[number] = _EMPTY + line
    text = "\n".join(lines)
    text = _TAGS_LAST.sub(_write_edge, _TAGS_FIRST.sub(_write_edge, text, count=1), count=1)
    start = len(text) - len(text.lstrip("\r\n"))
    if _FIRST.match(text):
        text = _EMPTY + text
    elif start:
        text = _write_breaks(text[:start]) + text[start:]
    if _LAST.search(text) and len(text) > 0:
        text += _EMPTY
    end = len(text.rstrip("\r\n"))
    return text[:end] + (_write_breaks(text[end:]) if end < len(text) else "")


def _unguard(text: str) -> str:
    if found := _LAST.search(text):
        ended = text.endswith(_EMPTY)
        text = text[: -len(_EMPTY)] if ended else text[: found.start()] + _read_breaks(found[0])
    if found := _FIRST.match(text):
        text = text[len(_EMPTY) :] if text.startswith(_EMPTY) else _read_breaks(found[0]) + text[found.end() :]
    text = _TAGS_LAST.sub(_read_edge, _TAGS_FIRST.sub(_read_edge, text, count=1), count=1)
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line.startswith(_EMPTY) and MARKER.fullmatch(_strip_empty(line)):
            lines[number] = line[len(_EMPTY) :]
    return "\n".join(lines)


def _write_edge(found: re.Match[str]) -> str:
    return re.sub(r"[\r\n]+", lambda breaks: _write_breaks(breaks[0]), found[0])


def _read_edge(found: re.Match[str]) -> str:
    return re.sub(_BREAKS, lambda breaks: _read_breaks(breaks[0]), found[0])


def _strip_empty(line: str) -> str:
    while line.startswith(_EMPTY):
        line = line[len(_EMPTY) :]
    return line


def _write_breaks(breaks: str) -> str:
    return f"{{{{ {json.dumps(breaks)} }}}}"


def _read_breaks(written: str) -> str:
    return str(json.loads(written[3:-3]))
