"""JSON fields: the share of the expected object's fields that the answer has right.

Fields the answer has beyond the expected ones are named but not counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

from workbench.scoring.registry import option, register
from workbench.scoring.scorer import ReferenceScorer, Score, truncate
from workbench.scoring.text.json_text import find_object, read_json
from workbench.scoring.text.normalization import clean, normalize


@register(
    "json_fields",
    group="json",
    help="Share of the expected JSON object's fields that the answer has right",
    notes="If the answer has several objects, the one with the most of these fields counts, the last of equals.",
    example="json_fields: {fields: [name, day]}",
)
class JsonFields(ReferenceScorer, frozen=True, kw_only=True):
    name: str = "json_fields"
    strict: Annotated[
        bool,
        option("Compare texts character for character; otherwise case, spaces and sentence punctuation are ignored"),
    ] = False
    fields: Annotated[tuple[str, ...], option("Only these fields count")] = ()

    def compare(self, text: str, expected: str) -> Score:
        try:
            return self._compare_objects(text, expected)
        except RecursionError:
            return Score(self.name, 0.0, "", "One of the JSON objects is nested too deeply to compare.", applies=False)

    def _compare_objects(self, text: str, expected: str) -> Score:
        right = _clean_keys(read_json(expected).value)
        if not isinstance(right, dict):
            return Score(self.name, 0.0, "", "The expected answer is not a JSON object.", applies=False)
        wanted = {key: right[key] for key in map(clean, self.fields or right) if key in right}
        if not wanted:
            lacking = f"none of the fields {', '.join(self.fields)}" if self.fields else "no fields"
            return Score(self.name, 0.0, "", f"The expected object has {lacking}.", applies=False)
        found = find_object(text, list(wanted))
        if found.problem:
            return Score(self.name, 0.0, truncate(found.text), f"No JSON object in the answer: {found.problem}.")
        return self._compare(wanted, _clean_keys(found.value), found.text)

    def _compare(self, wanted: dict[str, Any], found: dict[str, Any], text: str) -> Score:
        differing = list(self._differences(wanted, found))
        right = len(wanted) - len(differing)
        extra = [key for key in found if key not in wanted]
        lines = [f"{right} of {len(wanted)} fields right.", *differing]
        if extra and not self.fields:
            lines.append(f"not asked for: {', '.join(extra)}")
        return Score(self.name, right / len(wanted), truncate(text), "\n".join(lines))

    def _differences(self, wanted: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
        for key, value in wanted.items():
            if key not in found:
                yield f"{key}: missing, expected {_show(value)}"
            elif not self._equal(value, found[key]):
                yield f"{key}: expected {_show(value)}, found {_show(found[key])}"

    def _equal(self, left: Any, right: Any) -> bool:
        """Whether two values are the same, at any depth; true is not 1."""
        if isinstance(left, str) and isinstance(right, str) and not self.strict:
            return normalize(left) == normalize(right)
        if isinstance(left, dict) and isinstance(right, dict):
            return left.keys() == right.keys() and all(self._equal(left[key], right[key]) for key in left)
        if isinstance(left, list) and isinstance(right, list):
            return len(left) == len(right) and all(map(self._equal, left, right))
        return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _clean_keys(value: Any) -> Any:
    """A JSON value whose names have one Unicode form, at any depth."""
    if isinstance(value, dict):
        return {clean(key): _clean_keys(held) for key, held in value.items()}
    return [_clean_keys(held) for held in value] if isinstance(value, list) else value


def _show(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
