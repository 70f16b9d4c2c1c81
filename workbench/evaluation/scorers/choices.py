"""Choices: the answers that a multiple-choice case offers, as datasets of the field hold them.

Knows nothing of likelihoods or scores.
"""

from __future__ import annotations

import json
import string
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from workbench.evaluation.scorers.normalization import clean, normalize

Answer = Literal["auto", "text", "label", "letter", "index", "number"]
_AUTO: tuple[Answer, ...] = ("label", "text", "letter", "index")


class ExpectedChoice(NamedTuple):
    """Which choice an answer names, from 0, and by what it names it."""

    position: int
    way: Answer


class Choices(NamedTuple):
    """labels: the dataset's own names of the choices, such as A to D or 1 to 4; empty where it has none."""

    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()

    @classmethod
    def read(cls, column: str, variables: Mapping[str, str]) -> Choices:
        """The choices in a column: a JSON list of texts (MMLU, HellaSwag), a list of {text, label} objects or an object
        of two lists (ARC), or an object of label to text. Raises ValueError that says why there are none."""
        if column not in variables:
            raise ValueError(_describe_missing([column], variables))
        held = variables[column]
        try:
            value = json.loads(held, parse_float=str, parse_int=str) if isinstance(held, str) else held
        except (ValueError, RecursionError) as error:
            raise ValueError(f"The column {column} holds no JSON list of choices: {error}.") from error
        found = _take_apart(value)
        if found is None:
            raise ValueError(f"The column {column} holds no JSON list of choices, nor texts with labels.")
        return found._check(f"The column {column} holds")

    @classmethod
    def gather(cls, columns: Sequence[str], variables: Mapping[str, str]) -> Choices:
        """A choice from each column, labelled with the columns' names. Raises ValueError."""
        missing = [column for column in columns if column not in variables]
        if missing:
            raise ValueError(_describe_missing(missing, variables))
        return cls(tuple(variables[column] for column in columns), tuple(columns))._check("The columns hold")

    def find(self, expected: str, answer: Answer) -> ExpectedChoice:
        """The choice that the expected answer names. Raises ValueError where it names none, or several."""
        for way in _AUTO if answer == "auto" else (answer,):
            index = self._find(expected, way)
            if index is not None:
                return ExpectedChoice(index, way)
        offered = self.texts if not self.labels else map(": ".join, zip(self.labels, self.texts, strict=True))
        raise ValueError(f"The expected answer {expected!r} is none of the choices: {', '.join(offered)}.")

    def name(self, position: int, way: Answer) -> str:
        """A choice as an expected answer of that kind names it."""
        match way:
            case "label" if self.labels:
                return self.labels[position]
            case "letter":
                return string.ascii_uppercase[position]
            case "index":
                return str(position)
            case "number":
                return str(position + 1)
            case _:
                return self.texts[position]

    def _find(self, expected: str, way: Answer) -> int | None:
        if way in ("label", "text"):
            return _find_same(self.labels if way == "label" else self.texts, expected)
        plain = normalize(expected)
        if way == "letter":
            index = string.ascii_lowercase.find(plain) if len(plain) == 1 else -1
        else:
            index = int(plain) - (way == "number") if plain.isascii() and plain.isdecimal() and len(plain) < 9 else -1
        return index if 0 <= index < len(self.texts) else None

    def _check(self, where: str) -> Choices:
        if len(self.texts) < 2:
            raise ValueError(f"{where} fewer than two choices.")
        if self.labels and len(self.labels) != len(self.texts):
            raise ValueError(f"{where} {len(self.texts)} choices but {len(self.labels)} labels.")
        return self


def _find_same(names: Sequence[str], expected: str) -> int | None:
    """The name that is the expected one, else the only one that is but for case and punctuation."""
    exact = [at for at, name in enumerate(names) if clean(name).strip() == clean(expected).strip()]
    near = [at for at, name in enumerate(names) if normalize(name) == normalize(expected)]
    return exact[0] if exact else near[0] if len(near) == 1 else None


def _take_apart(value: Any) -> Choices | None:
    if isinstance(value, dict) and isinstance(value.get("text"), list):
        texts, labels = value["text"], value.get("label") or value.get("labels") or []
    elif isinstance(value, dict):
        texts, labels = list(value.values()), list(value)
    elif isinstance(value, list) and value and all(isinstance(each, dict) and "text" in each for each in value):
        texts = [each["text"] for each in value]
        labels = [each["label"] for each in value if "label" in each]
    else:
        texts, labels = value, []
    plain = isinstance(texts, list) and isinstance(labels, list)
    if not plain or not all(isinstance(each, (str, int, float)) for each in (*texts, *labels)):
        return None
    return Choices(tuple(map(str, texts)), tuple(map(str, labels)))


def _describe_missing(columns: Sequence[str], variables: Mapping[str, str]) -> str:
    return f"This case has no column {', '.join(columns)}; it has {', '.join(variables) or 'none'}."
