"""Extraction of the part of an answer that is to be scored, such as its last number.

`extract` in a bench is a step or a list of steps, each applied to what the one before it left.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from workbench.errors import ScorerError
from workbench.scoring.text.json_text import JsonPath, find_value
from workbench.scoring.text.normalization import clean
from workbench.scoring.text.numbers import find_numbers
from workbench.scoring.text.search import Search

Extract = str | dict[str, Any] | tuple[str | dict[str, Any], ...]
"""A step's name, a step with its option, or several of them in a row."""

_OPENING = re.compile(r"([*_`]+)[ \t]*\Z")


class Step(NamedTuple):
    """what: what is looked for, for a sentence `no {what} in the answer`. take: None where it is not there."""

    what: str
    extract: Callable[[str], str | None]


def make_steps(extract: Extract | None) -> tuple[Step, ...]:
    """The steps that an `extract` describes. Raises ScorerError with everything that is wrong with it."""
    specs = () if extract is None else (extract,) if isinstance(extract, (str, dict)) else extract
    problems: list[str] = []
    steps: list[Step] = []
    for spec in specs:
        try:
            steps.append(_make_step(spec))
        except ScorerError as error:
            problems.append(error.message)
    if problems:
        raise ScorerError("; ".join(problems))
    return tuple(steps)


def extract_text(steps: Sequence[Step], text: str, where: str = "answer") -> tuple[str | None, str]:
    """What the steps leave of a text, and a sentence for when there is nothing: (None, "There is no number ...").

    where: what the text is, for the sentence. Raises TimeoutError, with a sentence, for a pattern that takes too long.
    """
    for step in steps:
        try:
            found = step.extract(text)
        except TimeoutError as error:
            raise TimeoutError(f"The search for {step.what} took too long on this {where}.") from error
        if found is None:
            return None, f"There is no {step.what} in the {where}."
        text = found
    return text, ""


def _make_step(spec: str | dict[str, Any]) -> Step:
    name, option = (spec, None) if isinstance(spec, str) else _only_item(spec)
    if name in _PLAIN and option is None:
        return _PLAIN[name]
    if name in _WITH_OPTION and option is not None:
        return _WITH_OPTION[name](option)
    if name in _WITH_OPTION:
        raise ScorerError(f"extract: {name} needs a value, such as {_EXAMPLES[name]}")
    if name in _PLAIN:
        raise ScorerError(f"extract: {name} takes no value")
    known = [*_PLAIN, *_WITH_OPTION]
    near = get_close_matches(name, known, 1)
    guess = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
    raise ScorerError(f"extract: no such step: {name!r}; {guess}")


def _only_item(spec: dict[str, Any]) -> tuple[str, Any]:
    if len(spec) != 1:
        raise ScorerError(f"extract: expected one step, found {len(spec)}; put several into a list: {spec!r}")
    return next(iter(spec.items()))


def _find_number(text: str, index: int) -> str | None:
    found = find_numbers(text)
    return found[index] if found else None


def _find_line(text: str, index: int) -> str | None:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[index] if lines else None


def _after(marker: Any) -> Step:
    if not isinstance(marker, str) or not marker.strip():
        raise ScorerError(f"extract: after needs a text, found {marker!r}")
    compiled = re.compile(re.escape(clean(marker.strip())), re.IGNORECASE)

    def extract(text: str) -> str | None:
        found = list(compiled.finditer(clean(text)))
        return _strip_emphasis(clean(text), found[-1]) if found else None

    return Step(f"{marker.strip()!r}", extract)


def _strip_emphasis(text: str, marker: re.Match[str]) -> str:
    """The line behind a marker, without the other end of a Markdown emphasis that began before it."""
    line = _find_line(text[marker.end() :], 0) or ""
    opening = _OPENING.search(text[: marker.start()])
    return line.replace(opening[1], "", 1).strip() if opening else line


def _regex(options: Any) -> Step:
    search = Search.of({"pattern": options} if isinstance(options, str) else options, "extract: regex")
    return Step(f"match of {search.pattern!r}", search.find)


def _json(path: Any) -> Step:
    if not isinstance(path, str):
        raise ScorerError(f"extract: json needs a path such as answer.value, found {path!r}")
    parsed = JsonPath.parse(path)

    def extract(text: str) -> str | None:
        value = find_value(text, parsed)
        if value is None:
            return None
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    return Step(f"JSON with {path}", extract)


_PLAIN = {
    "last_number": Step("number", lambda text: _find_number(text, -1)),
    "first_number": Step("number", lambda text: _find_number(text, 0)),
    "final_line": Step("line", lambda text: _find_line(text, -1)),
    "first_line": Step("line", lambda text: _find_line(text, 0)),
}
_WITH_OPTION: dict[str, Callable[[Any], Step]] = {"after": _after, "regex": _regex, "json": _json}
_EXAMPLES = {"after": "{after: 'Answer:'}", "regex": r"{regex: '\((\w)\)'}", "json": "{json: answer.value}"}
STEPS = (*_PLAIN, *_EXAMPLES.values())
"""Every step, as it is written in a bench."""
