"""A Handlebars template in tokens: its texts and its tags, with the white space that tags take away already gone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_CLOSINGS = (("{{!--", "--}}"), ("{{{", "}}}"), ("{{", "}}"))
_REST_OF_LINE = re.compile(r"[ \t]*(?:\r?\n)?")
_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s=]+=(?:\"[^\"]*\"|'[^']*'|\S+)|\([^()]*\)|\S+")


class HandlebarsError(ValueError):
    """What a template uses that has no counterpart here."""


class TemplateToken(NamedTuple):
    """kind: text, value, open, inverse, else, close, partial. body: what is inside the braces, or the text."""

    kind: str
    body: str


def read_tokens(template: str) -> list[TemplateToken]:
    tokens: list[TemplateToken] = []
    position = 0
    for start, end in _find_tags(template):
        if start < position:  # white space that a tag took with it holds no tag
            continue
        tag, text = template[start:end], template[position:start]
        body = tag.strip("{}") if not tag.startswith("{{{") else tag[3:-3]
        left, right = body.startswith("~"), body.endswith("~")
        kind, body = _classify(body.strip("~"), tag)
        position = end
        if kind not in ("value",) and _stands_alone(template, start, end):
            text = text.rstrip(" \t")
            position = _skip(_REST_OF_LINE, template, position)
        text = text.rstrip() if left else text
        if right:
            position = _skip(_SPACE, template, position)
        tokens.append(TemplateToken("text", text))
        if kind != "comment":
            tokens.append(TemplateToken(kind, body))
    tokens.append(TemplateToken("text", template[position:]))
    return [token for token in tokens if token.kind != "text" or token.body]


def _classify(body: str, tag: str) -> tuple[str, str]:
    stripped = body.strip()
    if stripped.startswith("!"):
        return "comment", ""
    for sign, kind in (("#", "open"), ("^", "inverse"), ("/", "close"), (">", "partial"), ("&", "value")):
        if stripped.startswith(sign) and not tag.startswith("{{{"):
            rest = stripped[1:].strip()
            return ("else", "else") if kind == "inverse" and not rest else (kind, rest)
    if not stripped:
        raise HandlebarsError("an empty tag")
    return ("else", stripped) if stripped.split()[0] == "else" else ("value", stripped)


def _find_tags(template: str) -> Iterator[tuple[int, int]]:
    """Where each tag begins and ends. A kind of closing that is missing once is missing from there on, so that a text
    of opening braces alone takes no longer than any other."""
    position, missing = 0, set[str]()
    while (start := template.find("{{", position)) >= 0:
        for opening, closing in _CLOSINGS:
            if closing in missing or not template.startswith(opening, start):
                continue
            end = template.find(closing, start + len(opening))
            if end >= 0:
                position = end + len(closing)
                yield start, position
                break
            missing.add(closing)
        else:
            return


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return found.end() if found else position


def split_words(body: str) -> list[str]:
    """The name in a tag and its arguments."""
    words = _WORD.findall(body)
    if not words:
        raise HandlebarsError("an empty tag")
    return words


def _stands_alone(template: str, start: int, end: int) -> bool:
    """Whether a tag has its line for itself."""
    line_end = template.find("\n", end)
    before = template[template.rfind("\n", 0, start) + 1 : start]
    return not before.strip() and not template[end : line_end if line_end >= 0 else len(template)].strip()
