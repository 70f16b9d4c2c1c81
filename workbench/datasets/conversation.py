"""Conversations in a cell, as chat and ShareGPT files hold them: taken apart into input, history and answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from workbench.errors import DatasetError
from workbench.prompting.prompt import Role

ROLES: dict[str, Role] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
    "function_call": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
}


class ParsedConversation(NamedTuple):
    """input: what the user said last. expected: what was answered to it, None where nothing was.

    history: the turns before, a line each. system: the instructions, "" without any. turns: role and text of every turn
    but the answer, in their order, the system's among them. dropped: whether a turn holds what is no text, such as an
    image, which is left out.
    """

    input: str
    expected: str | None
    history: str
    system: str
    turns: tuple[tuple[str, str], ...] = ()
    dropped: bool = False


def is_turns(value: str | None) -> bool:
    """Whether the text of a cell is a list of turns."""
    if not value or not value.lstrip().startswith("["):
        return False
    try:
        return bool(_read_turns(value))
    except ValueError:
        return False


def parse_conversation(value: str) -> ParsedConversation:
    """The conversation in a cell. Raises ValueError that says what is wrong with it."""
    turns = _read_turns(value)
    asked_with = turns[:-1] if turns[-1][0] == "assistant" else turns
    system = "\n".join(text for role, text in turns if role == "system")
    spoken = [(role, text) for role, text in turns if role != "system"]
    expected = spoken.pop()[1] if spoken and spoken[-1][0] == "assistant" else None
    asked = next((at for at in range(len(spoken) - 1, -1, -1) if spoken[at][0] == "user"), None)
    if asked is None:
        raise ValueError("no turn of a user")
    history = spoken[:asked] + spoken[asked + 1 :]
    history_text = "\n".join(f"{role}: {text}" for role, text in history)
    return ParsedConversation(
        spoken[asked][1], expected, history_text, system, tuple(asked_with), _has_other_parts(value)
    )


def write_conversation(value: str | None, edits: Mapping[str, str], expected: str | None, shared: bool) -> str:
    """The cell of a conversation in which another thing is said last, or answered to it.

    value: the cell as it is; None for a new one. edits: what changes of input, system and history. expected: None
    where the answer stays. shared: ShareGPT's names for roles, where there is nothing to go by.
    Raises DatasetError for another history, which is no text that turns can be made of.
    """
    parsed = parse_conversation(value) if value else ParsedConversation("", None, "", "")
    if edits.get("history", parsed.history) != parsed.history:
        raise DatasetError("The turns before the last one cannot be written back from here.", "Edit them in the file.")
    turns: list[dict[str, Any]] = msgspec.json.decode(value) if value else []
    names = _names(turns, shared)
    if value is None or edits.get("system", parsed.system) != parsed.system:
        turns = _set_system(turns, edits.get("system", ""), names)
    asked = _last(turns, "user")
    answered = turns[-1] if turns and _role(turns[-1]) == "assistant" else None
    if asked is None:
        turns.append({names.role: names.user, names.content: edits.get("input", "")})
    elif "input" in edits:
        asked[names.content] = edits["input"]
    if expected is not None and answered is not None:
        answered[names.content] = expected
        answered.pop("tool_calls", None)
    elif expected is not None:
        turns.append({names.role: names.assistant, names.content: expected})
    return json.dumps(turns, ensure_ascii=False)


class _Names(NamedTuple):
    """How a file calls things."""

    role: str
    content: str
    user: str
    assistant: str


def _names(turns: list[dict[str, Any]], shared: bool) -> _Names:
    if turns:
        shared = "from" in turns[0]
    return _Names("from", "value", "human", "gpt") if shared else _Names("role", "content", "user", "assistant")


def _set_system(turns: list[dict[str, Any]], text: str, names: _Names) -> list[dict[str, Any]]:
    others = [turn for turn in turns if _role(turn) != "system"]
    return [{names.role: "system", names.content: text}, *others] if text else others


def _last(turns: list[dict[str, Any]], role: str) -> dict[str, Any] | None:
    return next((turn for turn in reversed(turns) if _role(turn) == role), None)


def _role(turn: Mapping[str, Any]) -> str | None:
    role = turn.get("role", turn.get("from"))
    return ROLES.get(role.lower()) if isinstance(role, str) else None


def last_answer(value: str) -> str:
    """The last thing an assistant said, where the cell is a list of turns; else the text itself."""
    if not is_turns(value):
        return value
    turns = _read_turns(value)
    return next((text for role, text in reversed(turns) if role == "assistant"), turns[-1][1])


def write_turns(turns: Iterable[tuple[str, str]]) -> str:
    """Turns as a JSON list of objects with role and content, the way chat templates and servers take them."""
    return json.dumps([{"role": role, "content": text} for role, text in turns], ensure_ascii=False)


def _has_other_parts(value: str) -> bool:
    """Whether a turn has parts of which not all are text."""
    if '"type"' not in value:
        return False
    contents = [turn.get("content", turn.get("value")) for turn in msgspec.json.decode(value)]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return any(not (isinstance(part, Mapping) and isinstance(part.get("text"), str)) for part in parts)


def _read_turns(value: str) -> list[tuple[str, str]]:
    try:
        items = msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"not a list of turns: {error}") from error
    if not isinstance(items, list) or not items:
        raise ValueError("not a list of turns")
    return [_read_turn(number, item) for number, item in enumerate(items, start=1)]


def _read_turn(number: int, item: Any) -> tuple[str, str]:
    if not isinstance(item, Mapping):
        raise ValueError(f"turn {number} is not an object")
    role = item.get("role", item.get("from"))
    known = ROLES.get(role.lower()) if isinstance(role, str) else None
    if known is None:
        raise ValueError(f"turn {number} has the role {role!r}; expected one of {', '.join(ROLES)}")
    return known, _read_content(number, item)


def _read_content(number: int, item: Mapping[str, Any]) -> str:
    content = item.get("content", item.get("value"))
    if isinstance(content, str):
        return content
    if isinstance(content, list):  # parts, of which only text can be asked here
        return "".join(
            part["text"] for part in content if isinstance(part, Mapping) and isinstance(part.get("text"), str)
        )
    if content is None and item.get("tool_calls"):
        return msgspec.json.encode(item["tool_calls"]).decode()
    if content is None:
        return ""
    raise ValueError(f"turn {number} has no text")
