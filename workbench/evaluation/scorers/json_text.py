"""JSON text: finding the JSON value in what a model wrote.

Knows nothing of scores.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any, NamedTuple

_FENCED = re.compile(r"\A```[\w-]*[ \t]*\n(.*?)\n?```\Z", re.DOTALL)
_STARTS_TRIED = 64  # bounds the work on an answer made of braces


class Found(NamedTuple):
    """text: where the value was read from. problem: why there is none, "" when there is one."""

    value: Any
    text: str
    problem: str


def read_json(text: str) -> Found:
    """The answer as one JSON value; a Markdown fence around the whole of it is taken off."""
    stripped = text.strip()
    fenced = _FENCED.match(stripped)
    content = fenced[1].strip() if fenced else stripped
    if not content:
        return Found(None, content, "the answer is empty")
    try:
        return Found(json.loads(content, parse_constant=_refuse_constant), content, "")
    except json.JSONDecodeError as error:
        return Found(None, content, f"{error.msg} at line {error.lineno}, column {error.colno}")
    except (ValueError, RecursionError) as error:
        return Found(None, content, str(error))


def find_value(text: str) -> Found:
    """The answer's JSON value: the whole answer, else the first object or array that stands in it."""
    whole = read_json(text)
    return whole if not whole.problem else _find(text, r"[\[{]") or whole


def find_object(text: str) -> Found:
    """The answer's JSON object: the whole answer, else the first object that stands in it."""
    whole = read_json(text)
    if isinstance(whole.value, dict):
        return whole
    problem = whole.problem or f"expected an object, found {type(whole.value).__name__}"
    return _find(text, r"\{") or Found(None, whole.text, problem)


def _find(text: str, opening: str) -> Found | None:
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    for start in islice(re.finditer(opening, text), _STARTS_TRIED):
        try:
            value, end = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            continue
        return Found(value, text[start.start() : end], "")
    return None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
