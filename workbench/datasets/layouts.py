"""Layouts: what the columns of common datasets mean, and how a row becomes variables and an expected answer."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from workbench.datasets.choice_layout import MultipleChoiceLayout
from workbench.datasets.conversation import is_turns, last_answer, parse_conversation, write_conversation, write_turns
from workbench.datasets.layout import Cells as Cells
from workbench.datasets.layout import DatasetLayout as DatasetLayout
from workbench.datasets.layout import MappedRow as MappedRow
from workbench.errors import DatasetError


@dataclass(frozen=True, slots=True)
class FlatLayout:
    """Every column under its own name, but those that hold the answer.

    asked: columns every row needs. answers: where the answer may be; the first there is counts. blank: columns that
    are "" where they have no value. hidden: columns that are no variables. several: whether the answer may be a list.
    label: a column that says whether the answer is good; one that is not is no expected answer. "": there is none.
    """

    name: str
    asked: tuple[str, ...]
    answers: tuple[str, ...]
    blank: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    several: bool = False
    answer: str = ""
    label: str = ""

    def fits(self, columns: Collection[str], rows: Sequence[Cells]) -> bool:
        if self.label and not {row.get(self.label, "").lower() for row in rows} & _TRUTH_VALUES:
            return False
        named = {*self.asked} <= set(columns) and any(name in columns for name in self.answers)
        return named and not any(is_turns(row.get(name)) for row in rows for name in self.asked)

    def for_columns(self, columns: Collection[str]) -> FlatLayout:
        """The same for a file that has these columns."""
        answer = next((name for name in self.answers if name in columns), self.answers[0])
        return replace(self, answer=answer, blank=tuple(name for name in self.blank if name in columns))

    def read(self, cells: Cells) -> MappedRow:
        missing = [name for name in self.asked if name not in cells]
        if missing:
            raise ValueError(f"no value in column {' or '.join(missing)}")
        left_out = {self.answer, self.label, *self.hidden}
        own = {name: text for name, text in cells.items() if name not in left_out}
        variables = {**dict.fromkeys(self.blank, ""), **own}
        answer = cells.get(self.answer)
        if self.label and cells.get(self.label, "").lower() not in ("true", "1"):
            return MappedRow(variables, None)
        if answer is None or not self.several:
            return MappedRow(variables, answer)
        answers = _read_answers(answer)
        return MappedRow(variables, answers[0] if answers else None, _rest(answers))

    def write(self, variables: Cells, expected: str | None, cells: Cells) -> dict[str, str]:
        return {**variables, **({} if expected is None else {self.answer: expected})}

    def origin(self, variable: str) -> str:
        return variable or self.answer


@dataclass(frozen=True, slots=True)
class ConversationLayout:
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

    def read(self, cells: Cells) -> MappedRow:
        if self.column not in cells:
            raise ValueError(f"no value in column {self.column}")
        try:
            talk = parse_conversation(cells[self.column])
        except ValueError as error:
            raise ValueError(f"{self.column}: {error}") from error
        left_out = {self.column, *self.replies, *self.hidden}
        others = {name: text for name, text in cells.items() if name not in left_out}
        reply = next((cells[name] for name in self.replies if name in cells), None)
        turns = {_TURNS: write_turns(talk.turns)}
        variables = {"system": talk.system, "history": talk.history, **turns, **others, "input": talk.input}
        remarks = ("Parts of turns that are not text, such as images, are left out",) if talk.dropped else ()
        answers = (talk.expected,) if reply is None else _read_answers(last_answer(reply))
        typed = frozenset((_TURNS,)) if _TURNS not in others else frozenset()
        return MappedRow(variables, answers[0] if answers else None, _rest(answers), typed, remarks)

    def write(self, variables: Cells, expected: str | None, cells: Cells) -> dict[str, str]:
        edits = {name: text for name, text in variables.items() if name in ("input", "system", "history")}
        made = self.read(cells).variables.get(_TURNS) if self.column in cells else None
        if variables.get(_TURNS, made) != made and "input" not in edits:
            raise DatasetError("The list of turns cannot be written back from here.", "Edit it in the file.")
        others = {name: text for name, text in variables.items() if name not in (*edits, _TURNS)}
        reply = next((name for name in self.replies if name in cells), None)
        if reply and expected is not None:
            others, expected = {**others, reply: expected}, None
        if not edits and expected is None:
            return others
        talk = write_conversation(cells.get(self.column), edits, expected, shared=self.name == "sharegpt")
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
class PromptfooLayout:
    """promptfoo's columns: variables under their own names, `__expected` for what an answer must fulfil; its other
    columns that begin with two underscores are no variables."""

    name: str = "promptfoo"

    def fits(self, columns: Collection[str], rows: Sequence[Cells]) -> bool:
        return any(_EXPECTED.fullmatch(name) for name in columns)

    def read(self, cells: Cells) -> MappedRow:
        variables = {name: text for name, text in cells.items() if not name.startswith("__")}
        wanted = [text for name, text in cells.items() if _EXPECTED.fullmatch(name) and text.strip()]
        read = [_read_assertion(text) for text in wanted]
        equal = [value for kind, value in read if kind == "equals"]
        others = dict.fromkeys(kind for kind, _ in read if kind != "equals")
        remarks = [f"promptfoo's assertion {kind} is not used; name a scorer for it" for kind in others]
        settings = [name for name in cells if name.startswith("__") and not _EXPECTED.fullmatch(name) and cells[name]]
        remarks += [f"promptfoo's column {name} is not used" for name in settings]
        return MappedRow(variables, equal[0] if equal else None, tuple(equal[1:]), remarks=tuple(remarks))

    def write(self, variables: Cells, expected: str | None, cells: Cells) -> dict[str, str]:
        return {**variables, **({} if expected is None else {"__expected": expected})}

    def origin(self, variable: str) -> str:
        return variable or "__expected"


_TURNS = "messages"
_TRUTH_VALUES = {"true", "false", "1", "0"}
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
LAYOUTS: tuple[DatasetLayout, ...] = (
    ConversationLayout("messages", "messages"),
    ConversationLayout("sharegpt", "conversations", hidden=("chosen", "rejected")),
    FlatLayout("alpaca", ("instruction",), ("output",), ("input", "system", "history")),
    FlatLayout("dolly", ("instruction",), ("response",), ("context",)),
    FlatLayout("kto", ("prompt",), ("completion",), label="label"),
    ConversationLayout("prompt-completion", "prompt", ("expected", "completion")),
    FlatLayout("prompt-completion", ("prompt",), ("completion", "response")),
    ConversationLayout("preference", "prompt", ("expected", "chosen"), ("rejected",)),
    ConversationLayout("preference", "chosen", hidden=("rejected",)),
    FlatLayout("preference", ("prompt",), ("chosen",), hidden=("rejected",)),
    PromptfooLayout(),
    MultipleChoiceLayout(
        "multiple-choice", "question", ("choices", "options"), ("answerKey", "answer", "label", "answer_index")
    ),
    MultipleChoiceLayout("multiple-choice", "ctx", ("endings",), ("label",)),
    FlatLayout("question-answer", ("question",), ("answer", "answers", "answerKey"), ("context",), several=True),
    ConversationLayout("input-target", "input", ("expected", "target", "ideal")),
    FlatLayout("input-target", ("input",), ("target", "ideal"), several=True),
    FlatLayout("text-label", ("text",), ("label", "labels", "label_text")),
    FlatLayout("text-label", ("sentence",), ("label", "labels", "label_text")),
)
PLAIN = "columns"
NAMES = (*dict.fromkeys(layout.name for layout in LAYOUTS), PLAIN)


def recognize(columns: Collection[str], rows: Sequence[Cells]) -> DatasetLayout | None:
    """The first layout that these columns and first rows look like; None: the columns are variables as they are."""
    return _first(LAYOUTS, columns, rows)


def named(name: str, columns: Collection[str], rows: Sequence[Cells]) -> DatasetLayout | None:
    """The layout of that name, in the form that suits the rows; None where the columns do not suit it."""
    return _first([layout for layout in LAYOUTS if layout.name == name], columns, rows)


def _first(layouts: Sequence[DatasetLayout], columns: Collection[str], rows: Sequence[Cells]) -> DatasetLayout | None:
    for layout in layouts:
        if layout.fits(columns, rows):
            return layout.for_columns(columns) if isinstance(layout, FlatLayout) else layout
    return None


def _read_assertion(text: str) -> tuple[str, str]:
    """The kind of a promptfoo assertion and its value; a text without a kind is to be equalled."""
    found = _ASSERTION.fullmatch(text.strip())
    return (found[1], (found[2] or "").strip()) if found else ("equals", text)


def _rest(answers: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(answer for answer in answers[1:] if answer is not None)


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
