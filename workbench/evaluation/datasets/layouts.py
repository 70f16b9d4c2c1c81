"""Layouts: what the columns of the field's usual files mean.

Knows how a row's cells become variables and an expected answer; nothing of files, nor of what a bench maps by hand
(reading.py).
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import msgspec

from workbench.errors import DatasetError
from workbench.evaluation.datasets.conversation import is_turns, last_answer, read_talk, write_talk, write_turns

Cells = Mapping[str, str]


class Meaning(NamedTuple):
    """What a row says: its variables, its answer, and further answers that are just as right.

    typed: variables that the layout makes and that are JSON. remarks: what of the row no case uses.
    """

    variables: dict[str, str]
    expected: str | None
    also: tuple[str, ...] = ()
    typed: frozenset[str] = frozenset()
    remarks: tuple[str, ...] = ()


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
        return Meaning(variables, answers[0] if answers else None, _rest(answers))

    def write(self, variables: Cells, expected: str | None, cells: Cells) -> dict[str, str]:
        return {**variables, **({} if expected is None else {self.answer: expected})}

    def origin(self, variable: str) -> str:
        return variable or self.answer


@dataclass(frozen=True, slots=True)
class Conversation:
    """A column of turns: what the user said last is the variable `input`; before it come `system` and `history`, and
    all turns but the answer are the list `messages`.

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
        turns = {_TURNS: write_turns(talk.turns)}
        variables = {"system": talk.system, "history": talk.history, **turns, **others, "input": talk.input}
        remarks = ("Parts of turns that are no text, such as images, are left out",) if talk.dropped else ()
        answers = (talk.expected,) if reply is None else _read_answers(last_answer(reply))
        typed = frozenset((_TURNS,)) if _TURNS not in others else frozenset()
        return Meaning(variables, answers[0] if answers else None, _rest(answers), typed, remarks)

    def write(self, variables: Cells, expected: str | None, cells: Cells) -> dict[str, str]:
        said = {name: text for name, text in variables.items() if name in ("input", "system", "history")}
        made = self.read(cells).variables.get(_TURNS) if self.column in cells else None
        if variables.get(_TURNS, made) != made and "input" not in said:
            raise DatasetError("The list of turns cannot be written back from here.", "Edit it in the file.")
        others = {name: text for name, text in variables.items() if name not in (*said, _TURNS)}
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
            _TURNS: f"every turn before the answer in {self.column}, as a list of role and content",
        }
        return made.get(variable, variable)


@dataclass(frozen=True, slots=True)
class Choices:
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

    def read(self, cells: Cells) -> Meaning:
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
            return Meaning(variables, None, typed=frozenset((held,)))
        place = choices.find(cells[answer])
        if place is None:
            raise ValueError(f"{answer}: {cells[answer][:80]!r} is none of the {len(choices.texts)} choices")
        return Meaning(variables, string.ascii_uppercase[place], typed=frozenset((held,)))

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


class _Options(NamedTuple):
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
        place = string.ascii_uppercase.find(letter) if len(letter) == 1 else -1
        if not 0 <= place < len(self.texts):
            raise DatasetError(
                f"{letter!r} is no choice.", f"Expected A to {string.ascii_uppercase[len(self.texts) - 1]}."
            )
        if self.labels:
            return self.labels[place]
        return str(place) if old.isdecimal() and old not in self.texts else letter


@dataclass(frozen=True, slots=True)
class Promptfoo:
    """promptfoo's columns: variables under their own names, `__expected` for what an answer must fulfil; its other
    columns that begin with two underscores are no variables."""

    name: str = "promptfoo"

    def fits(self, columns: Collection[str], rows: Sequence[Cells]) -> bool:
        return any(_EXPECTED.fullmatch(name) for name in columns)

    def read(self, cells: Cells) -> Meaning:
        variables = {name: text for name, text in cells.items() if not name.startswith("__")}
        wanted = [text for name, text in cells.items() if _EXPECTED.fullmatch(name) and text.strip()]
        read = [_read_assertion(text) for text in wanted]
        equal = [value for kind, value in read if kind == "equals"]
        others = dict.fromkeys(kind for kind, _ in read if kind != "equals")
        remarks = [f"promptfoo's assertion {kind} is not used; name a scorer for it" for kind in others]
        settings = [name for name in cells if name.startswith("__") and not _EXPECTED.fullmatch(name) and cells[name]]
        remarks += [f"promptfoo's column {name} is not used" for name in settings]
        return Meaning(variables, equal[0] if equal else None, tuple(equal[1:]), remarks=tuple(remarks))

    def write(self, variables: Cells, expected: str | None, cells: Cells) -> dict[str, str]:
        return {**variables, **({} if expected is None else {"__expected": expected})}

    def origin(self, variable: str) -> str:
        return variable or "__expected"


_TURNS = "messages"
_EXPECTED = re.compile(r"__expected\d*")
# promptfoo's own assertions; another word before a colon is text
_KINDS = (
    "equals|i?contains|i?contains-all|i?contains-any|starts-with|regex|(?:is|contains)-(?:json|sql|xml|html)|is-refusal"
    "|is-valid-[a-z-]+|javascript|python|ruby|webhook|similar|cost|latency|perplexity|perplexity-score|levenshtein"
    "|rouge-n|bleu|gleu|meteor|f-score|llm-rubric|agent-rubric|g-eval|factuality|classifier|moderation|guardrails"
    "|model-graded-[a-z]+|answer-relevance|context-(?:recall|relevance|faithfulness)|select-best|max-score|pi"
    "|finish-reason|trajectory:[a-z-]+|tool-call-f1|fn|eval|grade|file"
)
_ASSERTION = re.compile(rf"((?:not-)?(?:{_KINDS}))(?:\([^)]*\))?(?::(.*))?", re.DOTALL)
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
    Promptfoo(),
    Choices("multiple-choice", "question", ("choices", "options"), ("answerKey", "answer", "label", "answer_index")),
    Choices("multiple-choice", "ctx", ("endings",), ("label",)),
    Flat("question-answer", ("question",), ("answer", "answers", "answerKey"), ("context",), several=True),
    Conversation("input-target", "input", ("expected", "target", "ideal")),
    Flat("input-target", ("input",), ("target", "ideal"), several=True),
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


def _read_assertion(text: str) -> tuple[str, str]:
    """The kind of a promptfoo assertion and its value; a text without a kind is to be equalled."""
    found = _ASSERTION.fullmatch(text.strip())
    return (found[1], (found[2] or "").strip()) if found else ("equals", text)


def _rest(answers: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(answer for answer in answers[1:] if answer is not None)


def _read_choices(text: str) -> _Options | None:
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
    return _Options(texts, [str(label) for label in labels])


def _read_answers(text: str) -> tuple[str, ...]:
    """The answers in a cell: a text, a list of them, or what SQuAD keeps them in.

    A question of SQuAD 2 that cannot be answered has one right answer, which is empty: so its own script has it.
    """
    if text[:1] not in ("[", "{"):
        return (text,)
    try:
        value: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return (text,)
    if isinstance(value, list) and value and all(isinstance(item, dict) and "text" in item for item in value):
        value = {"text": [item["text"] for item in value]}
    held = value.get("text") if isinstance(value, dict) else value
    if held == [] and isinstance(value, dict):
        return ("",)
    if isinstance(held, list) and all(isinstance(item, str) for item in held):
        return tuple(dict.fromkeys(held))
    return (text,)
