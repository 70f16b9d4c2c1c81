"""The JSON schema that a new row must fulfil, inferred from the rows there are; and rows as JSON objects."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.datasets import Case
from workbench.json_schemas import find_problems
from workbench.prompting.values import read_json

EXPECTED = "expected"
"""The key of the expected answer, unless a variable is called so."""

_SPARE = 2  # a new text may be so many times as long as the longest one there is
_LEAST_CHARS = 40
_MOST_CHARS = 4_000


class RowSchema:
    """The shape of a row. inputs: its variables. labels: all expected answers there are; empty: any text."""

    def __init__(self, seeds: Sequence[Case], inputs: Sequence[str], labels: Sequence[str]) -> None:
        self.inputs, self.labels = tuple(inputs), tuple(labels)
        self.answer = EXPECTED if EXPECTED not in inputs else "expected_answer"
        self.answered = any(case.expected is not None for case in seeds)
        self._typed = {
            name: all(name in case.typed for case in seeds if name in case.variables) for name in self.inputs
        }
        self._parts = {name: self._infer(name, seeds) for name in self.inputs}
        answers = [case.expected for case in seeds if case.expected is not None]
        self._longest = _limit([len(one) for one in answers])

    def make(self, label: str = "") -> dict[str, Any]:
        """The schema of one row. label: the answer that it must have; empty: any."""
        parts = dict(self._parts)
        if self.answered:
            choices = [label] if label else list(self.labels)
            parts[self.answer] = {"enum": choices} if choices else _text(self._longest)
        return {
            "type": "object",
            "properties": parts,
            "required": list(parts),
            "additionalProperties": False,
        }

    def to_object(self, case: Case) -> dict[str, Any]:
        """A row that there is, as the object that would stand for it."""
        row = {name: self._read(name, case.variables[name]) for name in self.inputs if name in case.variables}
        return {**row, **({self.answer: case.expected} if case.expected is not None else {})}

    def read(self, text: str, label: str = "") -> tuple[dict[str, str], str | None]:
        """The variables and the expected answer of what a model wrote. Raises ValueError, in words, for no such row."""
        try:
            found = json.loads(_strip_fence(text))
        except (ValueError, RecursionError) as error:
            raise ValueError("no JSON object") from error
        problems = find_problems(self.make(label), found)
        if problems:
            raise ValueError("; ".join(problems[:3]))
        values = {name: _show(found[name]) for name in self.inputs}
        if not any(value.strip() for value in values.values()):
            raise ValueError("every column is empty")
        return values, found[self.answer] if self.answered else None

    def longest_row(self) -> int:
        """Characters of the longest row that the schema lets through, about."""
        texts = sum(int(part.get("maxLength", 60)) for part in self._parts.values())
        return texts + (max(map(len, self.labels)) if self.labels else self._longest) + 20 * (len(self._parts) + 1)

    def _infer(self, name: str, seeds: Sequence[Case]) -> dict[str, Any]:
        values = [case.variables[name] for case in seeds if name in case.variables]
        if self._typed[name]:
            return _infer_value([read_json(value) for value in values])
        return _text(_limit([len(value) for value in values]))

    def _read(self, name: str, text: str) -> Any:
        return json.loads(text) if self._typed[name] else text


def _infer_value(values: Sequence[Any]) -> dict[str, Any]:
    """The schema of values that are no texts: their common type, of lists and objects that of what they hold."""
    if all(isinstance(one, bool) for one in values):
        return {"type": "boolean"}
    if all(isinstance(one, int) and not isinstance(one, bool) for one in values):
        return {"type": "integer"}
    if all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in values):
        return {"type": "number"}
    if all(isinstance(one, str) for one in values):
        return _text(_limit([len(one) for one in values]))
    if all(isinstance(one, list) for one in values):
        items = [item for one in values for item in one]
        most = max((len(one) for one in values), default=0) + 2
        return {"type": "array", "maxItems": most, **({"items": _infer_value(items)} if items else {})}
    if all(isinstance(one, Mapping) for one in values):
        names = dict.fromkeys(str(name) for one in values for name in one)
        parts = {name: _infer_value([one[name] for one in values if name in one]) for name in names}
        required = [name for name in names if all(name in one for one in values)]
        return {"type": "object", "properties": parts, "required": required, "additionalProperties": False}
    return {}


def _text(longest: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest}


def _limit(lengths: Sequence[int]) -> int:
    return max(_LEAST_CHARS, min(_MOST_CHARS, _SPARE * max(lengths, default=0)))


def _strip_fence(text: str) -> str:
    """The object in an answer of a model that was not held to the schema: without a Markdown fence around it."""
    begin, end = text.find("{"), text.rfind("}")
    return text[begin : end + 1] if 0 <= begin < end else text


def _show(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
