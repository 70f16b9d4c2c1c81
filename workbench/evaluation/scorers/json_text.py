"""JSON text: finding the JSON value in what a model wrote.

Knows nothing of scores.
"""

from __future__ import annotations

import json
import re
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


def find_object(text: str) -> Found:
    """The answer's JSON object: the whole answer, else the first object that stands in it."""
    whole = read_json(text)
    if isinstance(whole.value, dict):
        return whole
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    for start in list(re.finditer(r"\{", text))[:_STARTS_TRIED]:
        try:
            value, end = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            continue
        return Found(value, text[start.start() : end], "")
    problem = whole.problem or f"expected an object, found {type(whole.value).__name__}"
    return Found(None, whole.text, problem)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
