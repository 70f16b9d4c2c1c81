"""Rows that say which of several answers is better, or whether one is good: what preference training learns from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from workbench.datasets.chat_rows import ChatRow, parse_turns, read_messages, read_pair
from workbench.datasets.chat_tools import read_tools
from workbench.datasets.conversation import is_turns
from workbench.prompting.prompt import Message
from workbench.prompting.tools import Tool

Cells = Mapping[str, str]
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


class PreferenceRecord(NamedTuple):
    """A prompt, its better answer and a worse one. prompt: turns, or a text where the row has no roles."""

    prompt: tuple[Message, ...] | str
    chosen: str
    rejected: str
    tools: tuple[Tool, ...] = ()


class LabelledRecord(NamedTuple):
    """A prompt and an answer. label: whether the answer is good. prompt: as in a PreferenceRecord."""

    prompt: tuple[Message, ...] | str
    completion: str
    label: bool
    tools: tuple[Tool, ...] = ()


class PreferenceRow(NamedTuple):
    """The pairs of one row. ties: pairs of equally good answers, which say nothing."""

    records: tuple[PreferenceRecord, ...]
    ties: int = 0


def read_preferences(cells: Cells) -> PreferenceRow:
    """The pairs of a row, of whichever form it is: `prompt`, `chosen` and `rejected` (TRL's), the last two alone as
    whole conversations, OpenAI's, LLaMA-Factory's rankings, or `answers` with `votes`. Raises ValueError in words.
    """
    tools = read_tools(cells.get("tools", ""))
    if "votes" in cells:
        return _read_votes(cells, tools)
    better, worse = (
        ("preferred_output", "non_preferred_output") if "preferred_output" in cells else ("chosen", "rejected")
    )
    missing = [name for name in (better, worse) if name not in cells]
    if missing:
        raise ValueError(f"no value in column {' or '.join(missing)}")
    chosen, rejected = _read_end(cells[better], better), _read_end(cells[worse], worse)
    asked = _read_prompt(cells)
    if asked is None:
        asked, chosen, rejected = _share_beginning(chosen, rejected)
    record = PreferenceRecord(asked, _answer(chosen, better), _answer(rejected, worse), tools)
    if record.chosen == record.rejected:
        raise ValueError("both answers are the same")
    return PreferenceRow((record,))


def read_labelled(cells: Cells) -> LabelledRecord:
    """The answer of a row and whether it is good: `prompt`, `completion` and `label` (TRL's), or LLaMA-Factory's rows
    with `kto_tag`. Raises ValueError in words."""
    name = "kto_tag" if "kto_tag" in cells else "label"
    label = _TRUTH.get(cells.get(name, "").strip().lower())
    if label is None:
        raise ValueError(f"{name}: expected true or false, found {cells.get(name, 'nothing')[:40]!r}")
    tools = read_tools(cells.get("tools", ""))
    if "prompt" in cells and "completion" in cells:
        asked = _read_prompt(cells)
        assert asked is not None
        return LabelledRecord(asked, _answer(_read_end(cells["completion"], "completion"), "completion"), label, tools)
    row = _read_whole(cells)
    if not row.messages or row.messages[-1].role != "assistant":
        raise ValueError("the conversation does not end with an answer of the assistant")
    return LabelledRecord(row.messages[:-1], row.messages[-1].content, label, tools)


def _read_whole(cells: Cells) -> ChatRow:
    if "conversations" in cells or "messages" in cells:
        return read_messages(cells, "conversations" if "conversations" in cells else "messages")
    return read_pair(cells, ("instruction", "input"), ("output",))


def _read_prompt(cells: Cells) -> tuple[Message, ...] | str | None:
    """What comes before the answers; None where the answers are whole conversations."""
    if "prompt" in cells:
        return parse_turns(cells["prompt"]).messages if is_turns(cells["prompt"]) else cells["prompt"]
    if "conversations" in cells:
        return read_messages(cells, "conversations").messages
    if "instruction" in cells:
        return read_pair(cells, ("instruction", "input"), ()).messages
    if "preferred_output" in cells and "input" in cells:
        return _read_openai_input(cells["input"])
    return None


def _read_openai_input(text: str) -> tuple[Message, ...]:
    found: Any = _decode(text, "input")
    listed = found.get("messages") if isinstance(found, dict) else found
    if not isinstance(listed, list):
        raise ValueError("input: expected an object with `messages`")
    return parse_turns(msgspec.json.encode(listed).decode()).messages


def _read_end(text: str, column: str) -> tuple[Message, ...] | str:
    """An answer: a text, one turn, or turns."""
    if text.lstrip().startswith("{"):
        found = _decode(text, column) if '"role"' in text or '"from"' in text else None
        if isinstance(found, dict):
            return parse_turns(msgspec.json.encode([found]).decode()).messages
    return parse_turns(text).messages if is_turns(text) else text


def _answer(end: tuple[Message, ...] | str, column: str) -> str:
    """The text of an answer. Raises ValueError for one of several turns, of which no single one is to blame."""
    if isinstance(end, str):
        return end
    if len(end) != 1 or end[0].role != "assistant":
        turns = ", ".join(message.role for message in end) or "nothing"
        raise ValueError(f"{column}: expected one turn of the assistant, found {turns}")
    if end[0].calls:
        raise ValueError(f"{column}: answers that call tools cannot be compared")
    return end[0].content


def _share_beginning(
    chosen: tuple[Message, ...] | str, rejected: tuple[Message, ...] | str
) -> tuple[tuple[Message, ...], tuple[Message, ...], tuple[Message, ...]]:
    """The turns that two conversations begin with, and the rest of each. Raises ValueError."""
    if isinstance(chosen, str) or isinstance(rejected, str):
        raise ValueError("no value in column prompt, and chosen and rejected are not conversations")
    pairs = enumerate(zip(chosen, rejected, strict=False))
    same = next((at for at, pair in pairs if pair[0] != pair[1]), min(len(chosen), len(rejected)))
    if same == 0:
        raise ValueError("chosen and rejected do not begin with the same turn")
    if same == len(chosen) == len(rejected):
        raise ValueError("both answers are the same")
    return chosen[:same], chosen[same:], rejected[same:]


def _read_votes(cells: Cells, tools: tuple[Tool, ...]) -> PreferenceRow:
    """Every pair of answers of which one has more votes."""
    if "prompt" not in cells or "answers" not in cells:
        raise ValueError("no value in column prompt or answers")
    answers, votes = _decode(cells["answers"], "answers"), _decode(cells["votes"], "votes")
    if not _is_list(answers, str) or not _is_list(votes, (int, float)) or len(answers) != len(votes):
        raise ValueError("expected `answers`, a list of texts, and `votes`, a number for each of them")
    asked = _read_prompt(cells)
    assert asked is not None
    order = sorted(range(len(answers)), key=lambda at: -votes[at])
    pairs = [(one, other) for index, one in enumerate(order) for other in order[index + 1 :]]
    decided = [(one, other) for one, other in pairs if votes[one] > votes[other] and answers[one] != answers[other]]
    records = tuple(PreferenceRecord(asked, answers[one], answers[other], tools) for one, other in decided)
    return PreferenceRow(records, len(pairs) - len(decided))


def _is_list(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, list) and len(value) > 1 and all(isinstance(one, kind) for one in value)


def _decode(text: str, column: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"{column}: not JSON: {error}") from error
