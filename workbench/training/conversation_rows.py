"""Training rows that are no single answer to a prompt: conversations of a dataset, cases with turns, documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from workbench.datasets import Case, Cases
from workbench.datasets.chat_rows import ChatRow
from workbench.datasets.dataset_types import RecognizedType, read_conversation
from workbench.datasets.turns import CaseTurn, read_expected_calls, read_results, read_turns
from workbench.errors import TrainingError
from workbench.prompting.prompt import Example, Message, Prompt
from workbench.prompting.render import render, render_turn
from workbench.prompting.tools import ToolCall, write_arguments
from workbench.runs.tool_results import PreparedResults, is_unprepared
from workbench.runs.tool_rounds import name_calls
from workbench.runs.tool_setup import NO_SETUP, ToolSetup
from workbench.training.mixed_cases import MixedCases
from workbench.training.training_row import RenderedRows, TrainingRow

_SHOWN = 5
_BEHIND = "Turns behind the last answer are left out"
_UNANSWERED = "Turns from the first one without an expected answer on are left out"
_NO_RESULT = "What follows a tool call without a prepared result is left out"


class TurnsRow(NamedTuple):
    """A conversation as a training row, None where nothing of it is learned. remarks: what of it is left out."""

    row: TrainingRow | None
    remarks: tuple[str, ...] = ()


def read_conversation_rows(cases: Cases | MixedCases, recognized: RecognizedType, every_turn: bool) -> RenderedRows:
    """The conversations of a dataset. every_turn: learn every turn of the assistant; else the last.

    Raises TrainingError with the rows that cannot be read.
    """
    rows: list[TrainingRow] = []
    unlabelled: list[int] = []
    remarks: Counter[str] = Counter()
    problems: list[str] = []
    for case, row in zip(cases, cases.rows(), strict=True):
        try:
            found = make_row(case, read_conversation(row.cells, recognized), every_turn)
        except ValueError as error:
            problems.append(f"  row {case.number}: {error}")
            continue
        remarks.update(found.remarks)
        if found.row is None:
            unlabelled.append(case.number)
        else:
            rows.append(found.row)
    if problems:
        more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise TrainingError(
            f"{cases.path} has rows that are not conversations:\n" + "\n".join(problems[:_SHOWN]) + more,
            "Correct these rows, or leave them out with `exclude` of the dataset.",
        )
    return RenderedRows(tuple(rows), tuple(unlabelled), tuple(sorted(remarks.items())))


def make_row(case: Case, chat: ChatRow, every_turn: bool) -> TurnsRow:
    """A conversation as a training row, as far as its last learned turn."""
    if not chat.learned:
        return TurnsRow(None, chat.remarks)
    last = chat.learned[-1]
    answer = chat.messages[last]
    remarks = (*chat.remarks, *((_BEHIND,) if last + 1 < len(chat.messages) else ()))
    learned = chat.learned[:-1] if every_turn else None
    row = TrainingRow(
        case.number,
        chat.messages[:last],
        answer.content,
        "chat",
        case.variables,
        learned,
        answer.calls,
        chat.tools,
    )
    return TurnsRow(row, remarks)


def render_turns(
    prompt: Prompt, examples: tuple[Example, ...], case: Case, every_turn: bool, setup: ToolSetup = NO_SETUP
) -> TurnsRow:
    """A case with turns in the prompt, as a run asks it; an answer of the case's own is context, and not learned.

    With a prompt's tools, the expected calls of a turn are learned, and what they return is the prepared result of the
    case, or of the bench: setup.
    Raises DatasetError and PromptError.
    """
    turns = read_turns(case)
    writer = _TurnsWriter(prompt, render(prompt, turns[0].case.values, examples), setup)
    for number, turn in enumerate(turns):
        if number:
            writer.messages.append(render_turn(prompt, turn.case.values))
        if turn.assistant is not None:
            writer.messages.append(Message("assistant", turn.assistant))
        elif not writer.answer(turn):
            writer.leave_out(number + 1 < len(turns))
            break
    chat = ChatRow(tuple(writer.messages), tuple(writer.learned), prompt.tools)
    made = make_row(case, chat, every_turn)
    remarks = tuple(remark for remark in made.remarks if remark != _BEHIND or not writer.remarks)
    return TurnsRow(made.row, (*remarks, *writer.remarks))


class _TurnsWriter:
    """A conversation under way. start: how many messages the prompt has."""

    def __init__(self, prompt: Prompt, messages: tuple[Message, ...], setup: ToolSetup) -> None:
        self._prompt, self._start, self._setup = prompt, len(messages), setup
        self.messages = list(messages)
        self.learned: list[int] = []
        self.remarks: list[str] = []

    def answer(self, turn: CaseTurn) -> bool:
        """Add what is expected of a turn; whether the conversation can go on behind it."""
        calls = read_expected_calls(turn.case) if self._prompt.tools else None
        if not calls and turn.case.expected is None:
            self.leave_out(True)
            return False
        if calls:
            made = [ToolCall(call.tool, write_arguments(call.arguments or {})) for call in calls]
            named = name_calls(made, len(self.messages) - self._start)
            self._learn(Message("assistant", "", named))
            results = PreparedResults((read_results(turn.case), self._setup.results), self._prompt.tools)
            answers = [results.answer(call) for call in named]
            if any(map(is_unprepared, answers)):
                self.remarks += [_NO_RESULT] if turn.case.expected is not None else []
                return False
            self.messages += answers
        if turn.case.expected is None:
            return False
        self._learn(Message("assistant", turn.case.expected))
        return True

    def leave_out(self, more: bool) -> None:
        """Remark that the conversation is left here, where there is more of it."""
        if more and not self.remarks:
            self.remarks.append(_UNANSWERED)

    def _learn(self, message: Message) -> None:
        self.learned.append(len(self.messages))
        self.messages.append(message)


def read_documents(cases: Cases | MixedCases) -> RenderedRows:
    """The texts of a dataset, without a prompt. Raises TrainingError where none has any."""
    rows = tuple(_read_document(cases))
    empty = tuple(row.case for row in rows if not row.answer.strip())
    kept = tuple(row for row in rows if row.answer.strip())
    if not kept:
        raise TrainingError(f"{cases.path} has no text: `text` is empty in all {len(rows)} rows.", "Name another file.")
    return RenderedRows(kept, empty)


def _read_document(cases: Cases | MixedCases) -> Iterator[TrainingRow]:
    for case, row in zip(cases, cases.rows(), strict=True):
        text = row.cells.get("text", "")
        yield TrainingRow(case.number, (), text, "completion", {"text": text})
