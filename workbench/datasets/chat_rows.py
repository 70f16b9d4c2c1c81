"""Rows that are conversations, with every turn, its tool calls and the tools that were offered: what training learns
from.

OpenAI's `messages`, ShareGPT's `conversations`, and rows of one question and one answer (Alpaca, Dolly, prompt and
completion) are read alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from workbench.datasets.chat_tools import read_call, read_calls, read_tools
from workbench.datasets.conversation import ROLES
from workbench.prompting.prompt import Message, Role
from workbench.prompting.tools import Tool

Cells = Mapping[str, str]

_PARTS = "Parts of turns that are not text, such as images, are left out"
_REASONING = "Reasoning in a field of its own, such as reasoning_content, is left out"
_REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")


class ChatRow(NamedTuple):
    """A conversation. learned: the indices of the assistant's turns whose loss counts, in order: all of them but those
    of `weight: 0`. tools: offered to the model. remarks: what of the row is not used, in words."""

    messages: tuple[Message, ...]
    learned: tuple[int, ...]
    tools: tuple[Tool, ...] = ()
    remarks: tuple[str, ...] = ()


def read_messages(cells: Cells, column: str) -> ChatRow:
    """The conversation in a column that lists its turns, with the columns `system` and `tools` where there are some.

    Raises ValueError that says what is wrong with it.
    """
    if column not in cells:
        raise ValueError(f"no value in column {column}")
    try:
        row = parse_turns(cells[column])
    except ValueError as error:
        raise ValueError(f"{column}: {error}") from error
    messages, learned = row.messages, row.learned
    system = cells.get("system", "")
    if system.strip() and not any(message.role == "system" for message in messages):
        messages, learned = (Message("system", system), *messages), tuple(at + 1 for at in learned)
    return ChatRow(messages, learned, read_tools(cells.get("tools", "")), row.remarks)


def read_pair(cells: Cells, asked: Sequence[str], answers: Sequence[str]) -> ChatRow:
    """A question and its answer. asked: columns of the question, the first one needed, the others put below it.
    answers: columns of which the first there is the answer. Raises ValueError.

    As LLaMA-Factory reads Alpaca's rows: `system` begins the conversation, `history` lists earlier questions and
    answers, and the columns of the question stand in lines of their own.
    """
    if asked[0] not in cells:
        raise ValueError(f"no value in column {asked[0]}")
    messages = [Message("system", cells["system"])] if cells.get("system", "").strip() else []
    messages += _read_history(cells.get("history", ""))
    texts = [cells[name] for name in asked if cells.get(name, "").strip()]
    remarks: tuple[str, ...] = ()
    if cells[asked[0]].lstrip().startswith("[") and len(texts) == 1 and _is_list_of_turns(cells[asked[0]]):
        before = parse_turns(cells[asked[0]])
        messages, remarks = [*messages, *before.messages], before.remarks
    else:
        messages.append(Message("user", "\n".join(texts)))
    earlier = len(messages)
    answer = next((cells[name] for name in answers if name in cells), None)
    if answer is not None and _is_list_of_turns(answer):
        after = parse_turns(answer)
        messages, remarks = [*messages, *after.messages], tuple(dict.fromkeys((*remarks, *after.remarks)))
    elif answer is not None:
        messages.append(Message("assistant", answer))
    # LLaMA-Factory trains the answers of a history too; those of a prompt that is a conversation are its context
    of_history = [at for at in range(earlier) if messages[at].role == "assistant" and "history" in cells]
    answered = [at for at in range(earlier, len(messages)) if messages[at].role == "assistant"]
    return ChatRow(tuple(messages), (*of_history, *answered), read_tools(cells.get("tools", "")), remarks)


def parse_turns(value: str) -> ChatRow:
    """The turns of a JSON list, of OpenAI's or ShareGPT's form. Raises ValueError that says what is wrong."""
    items = _decode(value)
    if not isinstance(items, list) or not items:
        raise ValueError("not a list of turns")
    messages: list[Message] = []
    learned: list[int] = []
    remarks: dict[str, None] = {}
    for number, item in enumerate(items, start=1):
        if not isinstance(item, Mapping):
            raise ValueError(f"turn {number} is not an object")
        message = _read_turn(number, item, remarks)
        if message.role == "assistant" and item.get("weight", 1) != 0:
            learned.append(len(messages))
        messages.append(message)
    return ChatRow(tuple(messages), tuple(learned), (), tuple(remarks))


def _read_turn(number: int, item: Mapping[str, Any], remarks: dict[str, None]) -> Message:
    named = item.get("role", item.get("from"))
    role: Role | None = ROLES.get(named.lower()) if isinstance(named, str) else None
    if role is None:
        raise ValueError(f"turn {number} has the role {named!r}; expected one of {', '.join(ROLES)}")
    text = _read_text(number, item, remarks)
    if any(item.get(name) for name in _REASONING_FIELDS):
        remarks[_REASONING] = None
    if role == "assistant" and isinstance(named, str) and named.lower() == "function_call":
        return Message("assistant", "", read_call(number, text))
    if role == "assistant":
        return Message("assistant", text, read_calls(number, item))
    if role == "tool":
        return Message("tool", text, name=str(item.get("name") or ""), call_id=str(item.get("tool_call_id") or ""))
    return Message(role, text)


def _read_text(number: int, item: Mapping[str, Any], remarks: dict[str, None]) -> str:
    content = item.get("content", item.get("value"))
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if isinstance(content, list):
        texts = [part["text"] for part in content if isinstance(part, Mapping) and isinstance(part.get("text"), str)]
        if len(texts) < len(content):
            remarks[_PARTS] = None
        return "".join(texts)
    if isinstance(content, Mapping):  # a result of a tool, or a call
        return json.dumps(content, ensure_ascii=False)
    raise ValueError(f"turn {number} has no text")


def _read_history(text: str) -> list[Message]:
    """Earlier questions and answers: a list of two texts each. Raises ValueError."""
    if not text.strip():
        return []
    found = _decode(text)
    if not isinstance(found, list) or not all(
        isinstance(one, list) and len(one) == 2 and all(isinstance(text, str) for text in one) for one in found
    ):
        raise ValueError("history: expected a list of questions with their answers, two texts each")
    return [message for asked, answer in found for message in (Message("user", asked), Message("assistant", answer))]


def _is_list_of_turns(text: str) -> bool:
    if not text.lstrip().startswith("["):
        return False
    try:
        return bool(parse_turns(text).messages)
    except ValueError:
        return False


def _decode(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
