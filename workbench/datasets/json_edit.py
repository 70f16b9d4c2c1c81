"""Replaces values of a JSON object in its own text, so that all else stays as it was written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


class Member(NamedTuple):
    """A key of an object and where its value stands in the text."""

    key: str
    start: int
    stop: int


def find_members(text: str) -> Iterator[Member]:
    """The members of the object that the text is, in order. The text must be one object."""
    at = _skip(text, text.index("{") + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, _skip(text, at))
        start = _skip(text, _skip(text, at) + 1)  # over the colon
        _, stop = _DECODER.raw_decode(text, start)
        yield Member(key, start, stop)
        at = _skip(text, stop)
        at = _skip(text, at + 1) if text[at] == "," else at


def set_values(text: str, values: Mapping[str, str]) -> str:
    """The object's text with these values, JSON themselves, in the places of the old ones; new keys come last."""
    members = list(find_members(text))
    held = {member.key: member for member in members}  # of a key that is there twice the last one counts
    for member in sorted(held.values(), key=lambda member: -member.start):
        if member.key in values:
            text = text[: member.start] + values[member.key] + text[member.stop :]
    added = [(key, value) for key, value in values.items() if key not in held]
    return _append(text, added) if added else text


def encode_like(value: str, old: str | None) -> str:
    """A cell's text as JSON: of the same kind as the old value where it can be, else a string."""
    if old is not None and not old.startswith('"') and _is_json(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _append(text: str, added: list[tuple[str, str]]) -> str:
    members = list(find_members(text))
    end = members[-1].stop if members else text.index("{") + 1
    first = members[0].start if members else end
    opening = text[text.index("{") + 1 : first]
    indent = opening[: len(opening) - len(opening.lstrip())]  # how keys are set apart in this object
    gap = indent or ("" if members and not re.search(r":\s", text[:first]) else " ")
    colon = ":" if members and text[first - 1] == ":" else ": "
    parts = [f"{gap}{json.dumps(key, ensure_ascii=False)}{colon}{value}" for key, value in added]
    return text[:end] + ("," if members else "") + ",".join(parts) + text[end:]


def _is_json(value: str) -> bool:
    try:
        return not isinstance(json.loads(value), str)
    except ValueError:
        return False


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
