"""The layout of questions with choices, of which one is right."""

from __future__ import annotations

import json
import string
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from workbench.datasets.layout import Cells, MappedRow
from workbench.errors import DatasetError


@dataclass(frozen=True, slots=True)
class MultipleChoiceLayout:
    """A question with a list of choices: the expected answer is the letter of the right one, A for the first.

    asked: the column of the question. held: where the choices are: a list of texts, or ARC's object of texts and
    labels. answers: where the right one is named, by its label, its letter, its text or its place, 0 for the first.
    """

    name: str
    asked: str
    held: tuple[str, ...]
    answers: tuple[str, ...]

    def fits(self, columns: Collection[str], rows: Sequence[Cells]) -> bool:
        held = next((name for name in self.held if name in columns), "")
        named = self.asked in columns and held and any(name in columns for name in self.answers)
        return bool(named) and any(_read_choices(row[held]) is not None for row in rows if held in row)

    def read(self, cells: Cells) -> MappedRow:
        held = next((name for name in self.held if name in cells), self.held[0])
        answer = next((name for name in self.answers if name in cells), self.answers[0])
        missing = [name for name in (self.asked, held) if name not in cells]
        if missing:
            raise ValueError(f"no value in column {' or '.join(missing)}")
        choices = _read_choices(cells[held])
        if choices is None:
            raise ValueError(f"{held}: expected a list of texts, or an object of `text` and `label`")
        variables = {name: text for name, text in cells.items() if name != answer}
        variables[held] = json.dumps(choices.texts, ensure_ascii=False)
        if answer not in cells:
            return MappedRow(variables, None, typed=frozenset((held,)))
        position = choices.find(cells[answer])
        if position is None:
            raise ValueError(f"{answer}: {cells[answer][:80]!r} is not one of the {len(choices.texts)} choices")
        return MappedRow(variables, string.ascii_uppercase[position], typed=frozenset((held,)))

    def write(self, variables: Cells, expected: str | None, cells: Cells) -> dict[str, str]:
        held = next((name for name in self.held if name in cells), self.held[0])
        answer = next((name for name in self.answers if name in cells), self.answers[0])
        choices = _read_choices(cells.get(held, ""))
        if choices is None or variables.get(held, json.dumps(choices.texts, ensure_ascii=False)) != json.dumps(
            choices.texts, ensure_ascii=False
        ):
            raise DatasetError("Choices cannot be written back from here.", "Edit them in the file.")
        others = {name: text for name, text in variables.items() if name != held}
        return others if expected is None else {**others, answer: choices.name(expected, cells.get(answer, ""))}

    def origin(self, variable: str) -> str:
        return variable or f"the letter of the choice that {' or '.join(self.answers)} names"


class _Choices(NamedTuple):
    texts: list[str]
    labels: list[str]

    def find(self, answer: str) -> int | None:
        """The place of the choice that an answer names, from 0."""
        letters = list(string.ascii_uppercase[: len(self.texts)])
        numbers = [str(at) for at in range(len(self.texts))]
        for names in (self.labels, self.texts, letters, numbers):
            if answer.strip() in names:
                return names.index(answer.strip())
        return None

    def name(self, letter: str, old: str) -> str:
        """The answer that a letter stands for, the way the file names answers. Raises DatasetError when it is none."""
        position = string.ascii_uppercase.find(letter) if len(letter) == 1 else -1
        if not 0 <= position < len(self.texts):
            raise DatasetError(
                f"No such choice: {letter!r}.", f"Expected A to {string.ascii_uppercase[len(self.texts) - 1]}."
            )
        if self.labels:
            return self.labels[position]
        return str(position) if old.isdecimal() and old not in self.texts else letter


def _read_choices(text: str) -> _Choices | None:
    if text[:1] not in ("[", "{"):
        return None
    try:
        value: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):  # ARC as it was published
        value = {key: [one.get(key) for one in value] for key in ("text", "label")}
    texts, labels = (value.get("text"), value.get("label")) if isinstance(value, dict) else (value, [])
    if not isinstance(texts, list) or not isinstance(labels, list) or not 1 < len(texts) <= 26:
        return None
    if not all(isinstance(one, str) for one in texts):
        return None
    return _Choices(texts, [str(label) for label in labels])
