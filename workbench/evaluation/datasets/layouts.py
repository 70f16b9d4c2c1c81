"""Layouts: what the columns of the field's usual files mean.

Knows how a row's cells become variables and an expected answer; nothing of files, nor of what a bench maps by hand
(reading.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import msgspec

from workbench.evaluation.datasets.conversation import is_turns, last_answer, read_talk, write_talk

Cells = Mapping[str, str]


class Meaning(NamedTuple):
    """What a row says: its variables, its answer, and further answers that are just as right."""

    variables: dict[str, str]
    expected: str | None
    also: tuple[str, ...] = ()


class Layout(Protocol):
    """name: as a bench names it."""

    @property
    def name(self) -> str: ...

    def fits(self, columns: Collection[str], rows: Sequence[Cells]) -> bool:
        """Whether these columns and first rows look like it."""

    def read(self, cells: Cells) -> Meaning:
        """What a row says. Raises ValueError that says what is wrong with it."""

    def write(self, variables: Cells, expected: str | None, cells: Cells) -> dict[str, str]:
        """The cells that say this; expected: None where it stays. cells: the row as it is, or one like it.

        Raises DatasetError for what a row cannot hold.
        """

    def origin(self, variable: str) -> str:
        """Where a variable comes from, or the answer where `variable` is empty: a column, or a phrase about one."""


@dataclass(frozen=True, slots=True)
class Flat:
    """Every column under its own name, but those that hold the answer.

    asked: columns every row needs. answers: where the answer may be; the first there is counts. blank: columns that
    are "" where they have no value. hidden: columns that are no variables. several: whether the answer may be a list.
    """

    name: str
    asked: tuple[str, ...]
    answers: tuple[str, ...]
    blank: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    several: bool = False
    answer: str = ""

    def fits(self, columns: Collection[str], rows: Sequence[Cells]) -> bool:
        named = {*self.asked} <= set(columns) and any(name in columns for name in self.answers)
        return named and not any(is_turns(row.get(name)) for row in rows for name in self.asked)

    def for_columns(self, columns: Collection[str]) -> Flat:
        """The same for a file that has these columns."""
        answer = next((name for name in self.answers if name in columns), self.answers[0])
        return replace(self, answer=answer, blank=tuple(name for name in self.blank if name in columns))

    def read(self, cells: Cells) -> Meaning:
        missing = [name for name in self.asked if name not in cells]
        if missing:
            raise ValueError(f"no value in column {' or '.join(missing)}")
        left_out = {self.answer, *self.hidden}
        own = {name: text for name, text in cells.items() if name not in left_out}
        variables = {**dict.fromkeys(self.blank, ""), **own}
        answer = cells.get(self.answer)
        if answer is None or not self.several:
            return Meaning(variables, answer)
        answers = _read_answers(answer)
        return Meaning(variables, answers[0] if answers else None, answers[1:])

    def write(self, variables: Cells, expected: str | None, cells: Cells) -> dict[str, str]:
        return {**variables, **({} if expected is None else {self.answer: expected})}

    def origin(self, variable: str) -> str:
        return variable or self.answer


@dataclass(frozen=True, slots=True)
class Conversation:
    """A column of turns: what the user said last is the variable `input`; before it come `system` and `history`.

    replies: columns that may hold the answer instead of a last turn. hidden: columns that are no variables.
    """

    name: str
    column: str
    replies: tuple[str, ...] = ("expected",)
    hidden: tuple[str, ...] = ()

    def fits(self, columns: Collection[str], rows: Sequence[Cells]) -> bool:
        usual = self.replies[1:]
        if usual and not any(name in columns for name in usual):
            return False
        held = [row[self.column] for row in rows if self.column in row]
        return bool(held) and is_turns(held[0])

    def read(self, cells: Cells) -> Meaning:
        if self.column not in cells:
            raise ValueError(f"no value in column {self.column}")
        try:
            talk = read_talk(cells[self.column])
        except ValueError as error:
            raise ValueError(f"{self.column}: {error}") from error
        left_out = {self.column, *self.replies, *self.hidden}
        others = {name: text for name, text in cells.items() if name not in left_out}
        reply = next((cells[name] for name in self.replies if name in cells), None)
        variables = {"system": talk.system, "history": talk.history, **others, "input": talk.input}
        return Meaning(variables, talk.expected if reply is None else last_answer(reply))

    def write(self, variables: Cells, expected: str | None, cells: Cells) -> dict[str, str]:
        said = {name: text for name, text in variables.items() if name in ("input", "system", "history")}
        others = {name: text for name, text in variables.items() if name not in said}
        reply = next((name for name in self.replies if name in cells), None)
        if reply and expected is not None:
            others, expected = {**others, reply: expected}, None
        if not said and expected is None:
            return others
        talk = write_talk(cells.get(self.column), said, expected, shared=self.name == "sharegpt")
        return {**others, self.column: talk}

    def origin(self, variable: str) -> str:
        made = {
            "": f"the last answer in {self.column}, or {' or '.join(self.replies)}",
            "input": f"what the user said last in {self.column}",
            "history": f"the turns before it in {self.column}",
            "system": f"the instructions in {self.column}",
        }
        return made.get(variable, variable)


LAYOUTS: tuple[Layout, ...] = (
    Conversation("messages", "messages"),
    Conversation("sharegpt", "conversations", hidden=("chosen", "rejected")),
    Flat("alpaca", ("instruction",), ("output",), ("input", "system", "history")),
    Flat("dolly", ("instruction",), ("response",), ("context",)),
    Conversation("prompt-completion", "prompt", ("expected", "completion")),
    Flat("prompt-completion", ("prompt",), ("completion", "response")),
    Conversation("preference", "prompt", ("expected", "chosen"), ("rejected",)),
    Conversation("preference", "chosen", hidden=("rejected",)),
    Flat("preference", ("prompt",), ("chosen",), hidden=("rejected",)),
    Flat("question-answer", ("question",), ("answer", "answers", "answerKey"), ("context",), several=True),
    Conversation("input-target", "input", ("expected", "target")),
    Flat("input-target", ("input",), ("target",), several=True),
    Flat("text-label", ("text",), ("label", "labels", "label_text")),
    Flat("text-label", ("sentence",), ("label", "labels", "label_text")),
)
PLAIN = "columns"
NAMES = (*dict.fromkeys(layout.name for layout in LAYOUTS), PLAIN)


def recognize(columns: Collection[str], rows: Sequence[Cells]) -> Layout | None:
    """The first layout that these columns and first rows look like; None: the columns are variables as they are."""
    return _first(LAYOUTS, columns, rows)


def named(name: str, columns: Collection[str], rows: Sequence[Cells]) -> Layout | None:
    """The layout of that name, in the form that suits the rows; None where the columns do not suit it."""
    return _first([layout for layout in LAYOUTS if layout.name == name], columns, rows)


def _first(layouts: Sequence[Layout], columns: Collection[str], rows: Sequence[Cells]) -> Layout | None:
    for layout in layouts:
        if layout.fits(columns, rows):
            return layout.for_columns(columns) if isinstance(layout, Flat) else layout
    return None


def _read_answers(text: str) -> tuple[str, ...]:
    """The answers in a cell: a text, a list of them, or the object that SQuAD keeps them in."""
    if text[:1] not in ("[", "{"):
        return (text,)
    try:
        value: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return (text,)
    held = value.get("text") if isinstance(value, dict) else value
    if isinstance(held, list) and all(isinstance(item, str) for item in held):
        return tuple(dict.fromkeys(held))
    return (text,)
