"""What training can learn from a file by its columns: conversations, plain text, preference pairs, labelled answers.

The words are those of TRL; a file whose columns suit several of them is ambiguous, and a person has to say which.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from workbench.datasets.chat_rows import ChatRow, read_messages, read_pair
from workbench.datasets.conversation import is_turns

Cells = Mapping[str, str]
DatasetType = Literal["conversation", "text", "preference", "kto"]
"""conversation: turns, the assistant's are learned. text: documents without a prompt. preference: prompts with a better
and a worse answer. kto: prompts with an answer that is marked as good or bad ("unpaired preference")."""


class RecognizedType(NamedTuple):
    """A meaning of a file's columns. layout: its name, as people know it; columns: those it is told by."""

    type: DatasetType
    layout: str
    columns: tuple[str, ...]

    @property
    def words(self) -> str:
        """`conversation (ShareGPT: conversations)`."""
        return f"{self.type} ({self.layout}: {', '.join(self.columns)})"


def recognize_types(columns: Collection[str], rows: Sequence[Cells]) -> tuple[RecognizedType, ...]:
    """Every meaning that these columns and first rows suit; none where the columns are only variables of a prompt."""
    found = [form.recognized for form in _FORMS if form.fits(columns, rows)]
    covered = {name for one in found if one.type in ("preference", "kto") for name in one.columns}
    # the prompt and the answers of pairs are no conversation beside them
    return tuple(one for one in found if one.type != "conversation" or not covered.intersection(one.columns))


def read_conversation(cells: Cells, recognized: RecognizedType) -> ChatRow:
    """The conversation in a row of a file of that meaning. Raises ValueError."""
    form = next(form for form in _FORMS if form.recognized == recognized)
    if form.read is None:
        raise ValueError(f"{recognized.words} holds no conversation")
    return form.read(cells)


class _Form(NamedTuple):
    recognized: RecognizedType
    fits: Callable[[Collection[str], Sequence[Cells]], bool]
    read: Callable[[Cells], ChatRow] | None = None


def _has(*needed: str, without: tuple[str, ...] = ()) -> Callable[[Collection[str], Sequence[Cells]], bool]:
    return lambda columns, rows: {*needed} <= {*columns} and not any(name in columns for name in without)


def _lists_turns(column: str, without: tuple[str, ...] = ()) -> Callable[[Collection[str], Sequence[Cells]], bool]:
    def fits(columns: Collection[str], rows: Sequence[Cells]) -> bool:
        held = [row[column] for row in rows if column in row]
        return bool(held) and is_turns(held[0]) and not {*without} & {*columns}

    return fits


def _marks_answers(column: str, *needed: str) -> Callable[[Collection[str], Sequence[Cells]], bool]:
    """Whether a column holds truth values beside others."""

    def fits(columns: Collection[str], rows: Sequence[Cells]) -> bool:
        values = {row[column].strip().lower() for row in rows if column in row}
        return {column, *needed} <= {*columns} and bool(values) and values <= {"true", "false", "1", "0"}

    return fits


def _holds_input(columns: Collection[str], rows: Sequence[Cells]) -> bool:
    """Whether `input` is the object of OpenAI's preference files, or turns."""
    if not {"input", "preferred_output", "non_preferred_output"} <= {*columns}:
        return False
    held = next((row["input"] for row in rows if "input" in row), "")
    try:
        return isinstance(msgspec.json.decode(held), dict | list)
    except (msgspec.DecodeError, RecursionError):
        return False


_LABELS = ("label", "labels", "label_text")
_FORMS = (
    _Form(RecognizedType("preference", "OpenAI", ("input", "preferred_output", "non_preferred_output")), _holds_input),
    _Form(
        RecognizedType("preference", "prompt, chosen, rejected", ("prompt", "chosen", "rejected")),
        _has("prompt", "chosen", "rejected"),
    ),
    _Form(
        RecognizedType("preference", "ShareGPT ranking", ("conversations", "chosen", "rejected")),
        _has("conversations", "chosen", "rejected"),
    ),
    _Form(
        RecognizedType("preference", "Alpaca ranking", ("instruction", "chosen", "rejected")),
        _has("instruction", "chosen", "rejected"),
    ),
    _Form(
        RecognizedType("preference", "whole conversations", ("chosen", "rejected")),
        lambda columns, rows: (
            _lists_turns("chosen", ("prompt", "conversations", "instruction"))(columns, rows) and "rejected" in columns
        ),
    ),
    _Form(
        RecognizedType("preference", "ranked votes", ("prompt", "answers", "votes")), _has("prompt", "answers", "votes")
    ),
    _Form(
        RecognizedType("kto", "KTO", ("prompt", "completion", "label")), _marks_answers("label", "prompt", "completion")
    ),
    _Form(
        RecognizedType("kto", "ShareGPT KTO", ("conversations", "kto_tag")), _marks_answers("kto_tag", "conversations")
    ),
    _Form(
        RecognizedType("kto", "Alpaca KTO", ("instruction", "output", "kto_tag")),
        _marks_answers("kto_tag", "instruction", "output"),
    ),
    _Form(
        RecognizedType("conversation", "OpenAI", ("messages",)),
        _lists_turns("messages"),
        lambda cells: read_messages(cells, "messages"),
    ),
    _Form(
        RecognizedType("conversation", "ShareGPT", ("conversations",)),
        _lists_turns("conversations"),
        lambda cells: read_messages(cells, "conversations"),
    ),
    _Form(
        RecognizedType("conversation", "Alpaca", ("instruction", "output")),
        _has("instruction", "output"),
        lambda cells: read_pair(cells, ("instruction", "input"), ("output",)),
    ),
    _Form(
        RecognizedType("conversation", "Dolly", ("instruction", "response")),
        _has("instruction", "response"),
        lambda cells: read_pair(cells, ("instruction", "context"), ("response",)),
    ),
    _Form(
        RecognizedType("conversation", "prompt and completion", ("prompt", "completion")),
        _has("prompt", "completion"),
        lambda cells: read_pair(cells, ("prompt",), ("completion",)),
    ),
    _Form(RecognizedType("text", "plain text", ("text",)), _has("text", without=_LABELS)),
)
TYPES: tuple[DatasetType, ...] = ("conversation", "text", "preference", "kto")
