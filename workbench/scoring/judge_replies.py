"""Reads a judge's reply: the JSON it was asked for, or prose.

A reply names one rating or none: where it names several, or a point that is not on the scale, it cannot be read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import regex

from workbench.scoring.text.json_text import find_objects
from workbench.scoring.text.normalization import clean, normalize
from workbench.scoring.text.numbers import read_number

_CONTROLS = regex.compile(r"[\x00-\x1f]")
_MARKS = r"[\s\"'*_`]*"
_NUMBER = r"(?P<rating>[-+]?[0-9]+(?:[.,][0-9]+)?)(?:\s*(?:/|out\s+of|of)\s*(?P<top>[0-9]+))?"
_END = r"(?![0-9]|[.,/][0-9]|\s*[-–]\s*[0-9]|\s*%|\w)"
_ASIDE = r"(?:\([^)\n]*\)|\[[^\]\n]*\])?"  # the scale repeated, as in `Score (1-5): 4`


class ParsedRating(NamedTuple):
    """choice: None where the reply says none. reason: what the judge gave. end: where in the text it was read."""

    choice: Any
    reason: str
    end: int


def parse_rating(text: str, key: str, choices: Sequence[Any]) -> ParsedRating:
    """The choice that a reply names, by what stands under or behind the key; the last one of a reply with several.

    choices: whole numbers, or labels, in the order of the scale.
    """
    text = _CONTROLS.sub(" ", text)  # a grammar may let line breaks into strings
    message = _find_object_with(text, key)
    if message is None:
        choice, end = _find_in_prose(clean(text), key, choices)
        return ParsedRating(choice, "", end)
    held, end = message
    reason = next((value for name, value in held.items() if _is(name, "reason")), "")
    value = next(value for name, value in held.items() if _is(name, key))
    return ParsedRating(_to_choice(value, choices), str(reason).strip(), end)


def _find_object_with(text: str, key: str) -> tuple[dict[str, Any], int] | None:
    """The last object that has the key, at any depth, and where it ends."""
    found, start = None, 0
    for each in find_objects(text):
        start = text.index(each.text, start)
        for held in _walk(each.value):
            if any(_is(name, key) for name in held):
                found = held, start + len(each.text)
        start += len(each.text)
    return found


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a value, an outer one before those inside it."""
    waiting = [value]  # no recursion: a reply may be nested as deep as it likes
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        waiting += reversed(list(children))


def _is(name: str, key: str) -> bool:
    return normalize(name) == key


def _to_choice(value: Any, choices: Sequence[Any]) -> Any:
    """The choice that a value under the key is."""
    if isinstance(value, (bool, list, dict)) or value is None:
        value = json.dumps(value)
    plain = clean(str(value)).strip(" .!*_`\"'")
    if _is_numeric(choices):
        found = regex.fullmatch(_NUMBER, plain)
        return _to_point(found["rating"], found["top"], choices) if found else None
    return next((choice for choice in choices if normalize(plain) == normalize(str(choice))), None)


def _to_point(rating: str, top: str | None, choices: Sequence[Any]) -> Any:
    """The point of the scale; None off the scale, or on another one."""
    value = read_number(rating)
    if value is None or (top is not None and Decimal(top) != choices[-1]):
        return None
    return next((choice for choice in choices if choice == value), None)


def _is_numeric(choices: Sequence[Any]) -> bool:
    return all(isinstance(choice, int) for choice in choices)


def _find_in_prose(text: str, key: str, choices: Sequence[Any]) -> tuple[Any, int]:
    """The choice of a reply without JSON, and where it ends."""
    whole = _to_choice(text, choices)
    if whole is not None:
        return whole, len(text)
    find = _find_points if _is_numeric(choices) else _find_labels
    behind = rf"\b{key}\b{_MARKS}{_ASIDE}{_MARKS}"
    named = list(regex.finditer(rf"{behind}(?:is{_MARKS})?[:=][\s\"'*_`(\[]*", text, regex.IGNORECASE))
    if named:
        return next(find(text, "", choices, named[-1].end()), (None, 0))
    loose = list(find(text, rf"{behind}(?:is|of|would be|->|→|-|–|—){_MARKS}(?:an?\s+)?", choices))
    if not loose:
        loose = list(_find_fractions(text, choices) if _is_numeric(choices) else find(text, r"\[\[\s*", choices))
    return loose[-1] if len({choice for choice, _ in loose}) == 1 else (None, 0)


def _find_points(text: str, before: str, choices: Sequence[Any], at: int | None = None) -> Iterator[tuple[Any, int]]:
    """Numbers behind a pattern; at: only the one that stands there."""
    pattern = regex.compile(f"{before}{_NUMBER}{_END}", regex.IGNORECASE)
    for found in _match(pattern, text, at):
        yield _to_point(found["rating"], found["top"], choices), found.end()


def _find_fractions(text: str, choices: Sequence[Any]) -> Iterator[tuple[Any, int]]:
    """Numbers that say out of how many, on this scale."""
    for found in regex.finditer(rf"(?<![\w./,-]){_NUMBER}{_END}", text, regex.IGNORECASE):
        choice = _to_point(found["rating"], found["top"], choices)
        if found["top"] and choice is not None:
            yield choice, found.end()


def _find_labels(text: str, before: str, choices: Sequence[Any], at: int | None = None) -> Iterator[tuple[Any, int]]:
    """Labels behind a pattern, the longest of those that fit; at: only the one that stands there."""
    known = {clean(str(choice)).casefold(): choice for choice in choices}
    named = "|".join(regex.escape(name) for name in sorted(known, key=len, reverse=True))
    pattern = regex.compile(rf"{before}(?:a\s+(?=tie\b))?(?P<label>{named})(?!\w|[-/]\w)", regex.IGNORECASE)
    for found in _match(pattern, text, at):
        yield known.get(found["label"].casefold()), found.end()


def _match(pattern: regex.Pattern[str], text: str, at: int | None) -> Iterator[regex.Match[str]]:
    if at is None:
        return iter(pattern.finditer(text))
    found = pattern.match(text, at)
    return iter([found] if found else [])
