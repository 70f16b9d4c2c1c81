"""Finds the JSON value that is meant in what a model wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from workbench.errors import ScorerError
from workbench.scoring.text.normalization import clean

_PART = re.compile(r"""\.?([^.\[\]'"]+)|\[(-?[0-9]+)\]|\[(?:'([^']*)'|"([^"]*)")\]""")


class JsonPath(NamedTuple):
    """The names and positions on the way."""

    parts: tuple[str | int, ...]

    @classmethod
    def parse(cls, text: str) -> JsonPath:
        """The path a text describes; `$` in front may be left out. Raises ScorerError."""
        rest = text.strip().removeprefix("$")
        parts: list[str | int] = []
        while rest:
            match = _PART.match(rest)
            if match is None:
                raise ScorerError(f"{text!r} is not a JSON path: expected names and indexes such as $.items[0].name")
            name, position, single, double = match.groups()
            parts.append(
                int(position) if position is not None else next(p for p in (name, single, double) if p is not None)
            )
            rest = rest[match.end() :]
        return cls(tuple(parts))

    def get(self, value: Any) -> Any:
        """The value at the path; None where there is none."""
        for part in self.parts:
            if isinstance(value, dict) and isinstance(part, str):
                value = _get(value, part)
            elif isinstance(value, list) and isinstance(part, int) and -len(value) <= part < len(value):
                value = value[part]
            else:
                return None
        return value


def _get(value: dict[str, Any], name: str) -> Any:
    """The value of that name, whichever Unicode form the name has."""
    return value.get(name, next((held for key, held in value.items() if clean(key) == clean(name)), None))


_FENCE = re.compile(r"\A(`{3,}|~{3,})[ \t]*(.*?)\s*(?:\1[`~]*)?\Z", re.DOTALL)
_INFO = (re.compile(r"\A[\w+./-]+(?=\s|[\[{])"), re.compile(r"\A[^\n]*\n"))  # `json`, or the whole first line
_BLOCK = re.compile(r"^[ \t]*(`{3,}|~{3,})(.*?)^[ \t]*\1", re.DOTALL | re.MULTILINE)
_AROUND = " \t\r\n\ufeff\u200b\u2060"
_OBJECT = re.compile(r'\{(?=\s*["}])')
_CONTAINER = re.compile(r'\{(?=\s*["}])|\[')
_STARTS_TRIED = 1000  # from the beginning, and as many from the end: bounds the work on an answer made of brackets


class FoundJson(NamedTuple):
    """text: where the value was read from. problem: why there is none, "" when there is one."""

    value: Any
    text: str
    problem: str


def read_json(text: str) -> FoundJson:
    """The answer as one JSON value; a Markdown fence of any form around the whole of it is taken off."""
    content = text.strip(_AROUND)
    whole = _decode(content)
    fenced = _FENCE.match(content)
    if not whole.problem or not fenced:
        return whole
    inner = fenced[2].strip(_AROUND)
    tried = [_decode(inner), *(_decode(pattern.sub("", inner, count=1).strip(_AROUND)) for pattern in _INFO)]
    return next((found for found in tried if not found.problem), tried[0] if inner[:1] in ("{", "[") else tried[1])


def find_json(text: str, strict: bool = False, anywhere: bool = False) -> FoundJson:
    """The answer's JSON value. strict: without a fence around it. anywhere: the one meant among other text."""
    if anywhere:
        value = find_value(text, JsonPath(()))
        if value is None:
            return FoundJson(None, "", "there is none in the answer")
        return FoundJson(value, json.dumps(value, ensure_ascii=False), "")
    return _decode(text) if strict else read_json(text)


def find_value(text: str, path: JsonPath) -> Any:
    """What stands at the path in the answer's JSON; None where nothing does.

    Of several values in a text the last one that has the path is meant, as an answer that thinks aloud ends with what
    it settled on. For the whole value (an empty path) fenced blocks go before other text, and objects before arrays.
    """
    whole = read_json(text)
    if not whole.problem:
        return path.get(whole.value)
    if path.parts:
        found = [path.get(each.value) for opening in (_OBJECT, _CONTAINER) for each in _find_all(text, opening)]
        return next((value for value in reversed(found) if value is not None), None)
    blocks = [read_json(match[0]) for match in _BLOCK.finditer(text)]
    fenced = [each.value for each in blocks if not each.problem]
    if fenced:
        return fenced[-1]
    standing = list(_find_all(text, _OBJECT)) or list(_find_all(text, _CONTAINER))
    return standing[-1].value if standing else None


def find_object(text: str, names: Sequence[str] = ()) -> FoundJson:
    """The answer's JSON object: the whole answer, else the one in it with most of these names, the last of equals."""
    whole = read_json(text)
    if isinstance(whole.value, dict):
        return whole
    objects = list(_find_all(text, _OBJECT))
    if not objects:
        problem = whole.problem or f"expected an object, found {type(whole.value).__name__}"
        return FoundJson(None, whole.text, problem)
    shared = [sum(name in found.value for name in names) for found in objects]
    return max(zip(shared, range(len(objects)), objects, strict=True))[2]


def find_objects(text: str) -> list[FoundJson]:
    """Every JSON object that stands in the answer by itself, in order."""
    return list(_find_all(text, _OBJECT))


def _find_all(text: str, opening: re.Pattern[str]) -> Iterator[FoundJson]:
    decoder = json.JSONDecoder(parse_constant=_refuse_constant, strict=False)
    starts = [match.start() for match in opening.finditer(text)]
    if len(starts) > 2 * _STARTS_TRIED:
        starts = starts[:_STARTS_TRIED] + starts[-_STARTS_TRIED:]
    end = 0
    for start in starts:
        if start < end:
            continue
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        yield FoundJson(value, text[start:end], "")


def _decode(content: str) -> FoundJson:
    if not content:
        return FoundJson(None, content, "the answer is empty")
    try:
        return FoundJson(json.loads(content, parse_constant=_refuse_constant), content, "")
    except json.JSONDecodeError as error:
        return FoundJson(None, content, f"{error.msg} at line {error.lineno}, column {error.colno}")
    except (ValueError, RecursionError) as error:
        return FoundJson(None, content, str(error))


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
