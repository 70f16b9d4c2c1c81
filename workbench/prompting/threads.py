"""Inputs of kind thread: earlier messages of a conversation, which a template puts between its own.

A thread is a JSON list of messages, as Prompty and OpenAI write them: `[{"role": "user", "content": "Hello"}]`. Where
the template prints it, the message that it stands in ends, the thread's messages follow, and the text behind it begins
another message of the same role. A template may also loop over it. What a message says is data: no role or template in
it is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from workbench.errors import PromptError
from workbench.prompting.pictures import Picture
from workbench.prompting.prompt import ROLES, Message, Prompt
from workbench.prompting.values import Items, find_characters

Threads = Mapping[str, tuple[Message, ...]]
"""The messages of a thread, by the character that stands for it while a template is filled in."""

_FREE = range(0xF8000, 0xFB000)
_SHAPE = 'Expected a JSON list such as [{"role": "user", "content": "Hello"}].'


def mark_threads(prompt: Prompt, variables: Mapping[str, Any], values: dict[str, Any]) -> Threads:
    """Put a character that nobody wrote where each thread is printed. values: what the template sees; changed.

    Raises PromptError for what is not a list of messages, and for a completion, which has none.
    """
    names = [name for name in values if prompt.kinds.get(name) == "thread"]
    if not names:
        return {}
    if prompt.mode == "completion":
        raise PromptError(
            f"`{names[0]}` is a conversation, and {prompt.name} is a completion, which has no messages.",
            "Set `mode: chat` in the prompt.",
        )
    given = [value for value in (*variables.values(), *values.values()) if not isinstance(value, Picture)]
    used = set(prompt.body).union(*map(find_characters, given))
    found: dict[str, tuple[Message, ...]] = {}
    for name, character in zip(names, (chr(code) for code in _FREE if chr(code) not in used), strict=False):
        found[character] = read_thread(values[name], name)
        shown = Items({"role": one.role, "content": one.content} for one in found[character])
        shown.text = character
        values[name] = shown
    return found


def read_thread(value: Any, name: str) -> tuple[Message, ...]:
    """The messages of a thread; none of an empty text. Raises PromptError that says what is wrong with which."""
    if isinstance(value, Mapping) and isinstance(value.get("messages"), list):
        value = value["messages"]
    if value is None or (isinstance(value, str) and not value.strip()):
        return ()
    if not isinstance(value, list):
        raise PromptError(f"`{name}` is not a list of messages.", _SHAPE)
    return tuple(_read_message(one, f"message {number} of `{name}`") for number, one in enumerate(value, start=1))


def _read_message(value: Any, where: str) -> Message:
    if not isinstance(value, Mapping):
        raise PromptError(f"{where} is not an object with a role and a content.", _SHAPE)
    role = value.get("role")
    if role not in ROLES:
        raise PromptError(f"{where} has the role {str(role)[:40]!r}.", f"Expected {', '.join(ROLES)}.")
    if value.get("tool_calls"):
        raise PromptError(
            f"{where} has tool calls, which a thread cannot have.", "Put such conversations into `turns` of the case."
        )
    text = "".join(_read_content(value.get("content"), where))
    return Message(role, text, name=str(value.get("name") or ""), call_id=str(value.get("tool_call_id") or ""))


def _read_content(content: Any, where: str) -> Iterator[str]:
    """The text of a message, which may be in parts."""
    if isinstance(content, str):
        yield str(content)
        return
    for part in content if isinstance(content, list) else [content]:
        text = part.get("value", part.get("text")) if isinstance(part, Mapping) else part
        kind = part.get("kind", part.get("type", "text")) if isinstance(part, Mapping) else "text"
        if kind != "text" or not isinstance(text, str):
            raise PromptError(f"The content of {where} is not text.", "Only texts can stand in a thread.")
        yield str(text)


def expand_threads(messages: tuple[Message, ...], threads: Threads) -> tuple[Message, ...]:
    """The messages with each thread in the place of its character."""
    if not threads:
        return messages
    return tuple(one for message in messages for one in _expand(message, threads))


def _expand(message: Message, threads: Threads) -> Iterator[Message]:
    """Line breaks beside a thread are layout, as beside a role; a blank text there is no message."""
    found = [at for at, character in enumerate(message.content) if character in threads]
    if not found:
        yield message
        return
    start = 0
    for at in (*found, len(message.content)):
        yield from _cut(message, start, at)
        if at < len(message.content):
            yield from threads[message.content[at]]
        start = at + 1


def _cut(message: Message, start: int, end: int) -> Iterator[Message]:
    """The part of a message between two threads, with the pictures that stand in it."""
    text = message.content[start:end]
    left = len(text) - len(text.lstrip("\r\n"))
    text = text.strip("\r\n")
    pictures = tuple(
        msgspec.structs.replace(one, at=min(max(one.at - start - left, 0), len(text)))
        for one in message.pictures
        if start <= one.at <= end
    )
    if text.strip() or pictures:
        yield msgspec.structs.replace(message, content=text, pictures=pictures)


def refuse_threads(prompt: Prompt, names: tuple[str, ...], where: str) -> None:
    """Raise PromptError where one message alone asks for a thread."""
    asked = [name for name in names if prompt.kinds.get(name) == "thread"]
    if asked:
        raise PromptError(
            f"{where} asks for the conversation `{asked[0]}`, which would put messages into one message.",
            f"Put {{{{ {asked[0]} }}}} before the last line `user:`.",
        )
