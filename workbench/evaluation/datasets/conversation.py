"""Conversation: a list of turns, as chat and ShareGPT files hold them, taken apart into what is asked and answered.

Knows nothing of files or columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

_ROLES = {
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


class Talk(NamedTuple):
    """input: what the user said last. expected: what was answered to it, None where nothing was.

    history: the turns before, a line each. system: the instructions, "" without any.
    """

    input: str
    expected: str | None
    history: str
    system: str


def is_turns(value: str | None) -> bool:
    """Whether the text of a cell is a list of turns."""
    if not value or not value.lstrip().startswith("["):
        return False
    try:
        return bool(_read_turns(value))
    except ValueError:
        return False


def read_talk(value: str) -> Talk:
    """The conversation in a cell. Raises ValueError that says what is wrong with it."""
    turns = _read_turns(value)
    system = "\n".join(text for role, text in turns if role == "system")
    said = [(role, text) for role, text in turns if role != "system"]
    expected = said.pop()[1] if said and said[-1][0] == "assistant" else None
    asked = next((at for at in range(len(said) - 1, -1, -1) if said[at][0] == "user"), None)
    if asked is None:
        raise ValueError("no turn of a user")
    history = said[:asked] + said[asked + 1 :]
    return Talk(said[asked][1], expected, "\n".join(f"{role}: {text}" for role, text in history), system)


def last_answer(value: str) -> str:
    """The last thing an assistant said, where the cell is a list of turns; else the text itself."""
    if not is_turns(value):
        return value
    turns = _read_turns(value)
    return next((text for role, text in reversed(turns) if role == "assistant"), turns[-1][1])


def _read_turns(value: str) -> list[tuple[str, str]]:
    try:
        items = msgspec.json.decode(value)
    except msgspec.DecodeError as error:
        raise ValueError(f"not a list of turns: {error}") from error
    if not isinstance(items, list) or not items:
        raise ValueError("not a list of turns")
    return [_read_turn(number, item) for number, item in enumerate(items, start=1)]


def _read_turn(number: int, item: Any) -> tuple[str, str]:
    if not isinstance(item, Mapping):
        raise ValueError(f"turn {number} is not an object")
    role = item.get("role", item.get("from"))
    known = _ROLES.get(role.lower()) if isinstance(role, str) else None
    if known is None:
        raise ValueError(f"turn {number} has the role {role!r}; expected one of {', '.join(_ROLES)}")
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
