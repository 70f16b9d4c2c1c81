"""Other ways to pass messages to a chat template that drops or refuses some of them as they are.

Each keeps every text and every order of turns, and reports what it moves.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from workbench.prompting.prompt import Message
from workbench.prompting.tools import write_call

Systems = Literal["kept", "first", "none"]
"""System messages: as they are; one at the beginning, later ones before the user message behind them; all of them
there."""

Calls = Literal["objects", "texts", "written"]
"""Tool calls: their arguments as objects; as JSON texts; calls and results as text of assistant and user messages."""


class Repair(NamedTuple):
    """What is done to messages before they are laid out.

    typed: contents are lists of typed parts, as templates of models that see pictures want them.
    appends: a begun answer stands behind the template's own opening of one, instead of going through the template.
    """

    typed: bool = False
    appends: bool = False
    systems: Systems = "kept"
    calls: Calls = "objects"


def describe_repair(repair: Repair, messages: Sequence[Message]) -> tuple[str, ...]:
    """What of a repair a person has to know, one sentence each: what is sent stands elsewhere than it was written."""
    written = (_WRITTEN,) if repair.calls == "written" else ()
    return (*_describe_systems(repair, messages), *written)


_WRITTEN = "The model's chat template takes no tool calls: calls and results are sent as text, in the form of Hermes."


def _describe_systems(repair: Repair, messages: Sequence[Message]) -> tuple[str, ...]:
    if repair.systems == "kept":
        return ()
    roles = [message.role for message in messages]
    if "user" not in roles:
        return ("The model's chat template drops a system message by itself: it is sent as a user message.",)
    leading = len(list(itertools.takewhile(lambda role: role == "system", roles)))
    last_user = len(roles) - 1 - roles[::-1].index("user")
    sentences = []
    if repair.systems == "none" and leading:
        sentences.append("takes no system message: it is put before the first user message")
    if repair.systems == "first" and leading > 1:
        sentences.append(f"takes one system message: the {leading} at the beginning are joined")
    if "system" in roles[leading:last_user]:
        sentences.append("takes no later system message: it is put before the user message behind it")
    if "system" in roles[max(leading, last_user) :]:
        sentences.append("takes no system message at the end: it is put behind the last user message")
    return tuple(f"The model's chat template {sentence}." for sentence in sentences)


def choose_repairs(messages: Sequence[Message], open_end: bool) -> Iterator[Repair]:
    """Every repair that can change something, the most faithful ones first; none at all before them."""
    appends = (False, True) if open_end else (False,)
    roles = [message.role for message in messages]
    systems: tuple[Systems, ...] = ("kept",)
    if "system" in roles:
        systems = ("kept", "first", "none") if roles.count("system") > 1 or roles[0] != "system" else ("kept", "none")
    calls: tuple[Calls, ...] = ("objects",)
    if any(message.calls or message.role == "tool" for message in messages):
        calls = ("objects", "texts", "written")
    for called, moved, typed, appended in itertools.product(calls, systems, (False, True), appends):
        yield Repair(typed, appended, moved, called)


def fold_systems(messages: Sequence[Message], systems: Systems) -> list[Message]:
    """The messages with the text of system messages before the user message behind each.

    Without one behind it, it stands in a user message of its own. `first` keeps those at the very beginning, as one.
    """
    if systems == "kept":
        return list(messages)
    leading = list(itertools.takewhile(lambda message: message.role == "system", messages))
    kept: list[Message] = []
    held = [message.content for message in leading]
    if systems == "first" and held:
        kept, held = [Message("system", "\n\n".join(held))], []
    for message in messages[len(leading) :]:
        if message.role == "system":
            held.append(message.content)
        elif message.role == "user" and held:
            kept.append(Message("user", "\n\n".join([*held, message.content])))
            held = []
        else:
            kept.append(message)
    return _append_rest(kept, held)


def _append_rest(kept: list[Message], held: list[str]) -> list[Message]:
    """What no user message follows, at the end: before a begun answer, behind a last user message."""
    if not held:
        return kept
    begun = [kept.pop()] if kept and kept[-1].role == "assistant" and len(kept) > 1 and kept[-2].role == "user" else []
    text = "\n\n".join(held)
    if kept and kept[-1].role == "user":
        kept[-1] = Message("user", f"{kept[-1].content}\n\n{text}")
    else:
        kept.append(Message("user", text))
    return [*kept, *begun]


def write_calls(messages: Sequence[Message]) -> list[Message]:
    """The messages with tool calls as text of the assistant, and results as text of the user behind them."""
    written: list[Message] = []
    for message in messages:
        if message.role == "tool":
            text = f"<tool_response>\n{message.content}\n</tool_response>"
            if written and written[-1].role == "user" and written[-1].name:
                text = f"{written.pop().content}\n{text}"
            written.append(Message("user", text, name="tool"))
        elif message.calls:
            parts = [message.content] if message.content.strip() else []
            written.append(Message(message.role, "\n".join([*parts, *map(write_call, message.calls)])))
        else:
            written.append(message)
    return [msgspec.structs.replace(message, name="") for message in written]


def make_turns(messages: Sequence[Message], repair: Repair) -> list[dict[str, Any]]:
    """Messages as chat templates take them. Of a repair, whether contents are lists of one typed part each, and
    whether the arguments of calls are texts."""
    return [_make_turn(message, repair) for message in messages]


def _make_turn(message: Message, repair: Repair) -> dict[str, Any]:
    content = _list_parts(message) if repair.typed or message.pictures else message.content
    turn: dict[str, Any] = {"role": message.role, "content": content}
    if message.calls:
        turn["tool_calls"] = list_calls(message, repair.calls == "texts")
    if message.role == "tool":
        turn |= {key: value for key, value in (("name", message.name), ("tool_call_id", message.call_id)) if value}
    return turn


def _list_parts(message: Message) -> list[dict[str, Any]]:
    """Text and pictures in their order."""
    parts: list[dict[str, Any]] = []
    at = 0
    for picture in message.pictures:
        parts += [{"type": "text", "text": message.content[at : picture.at]}, {"type": "image"}]
        at = picture.at
    parts.append({"type": "text", "text": message.content[at:]})
    return [part for part in parts if part.get("text", "-")] if message.pictures else parts


def list_calls(message: Message, texts: bool) -> list[dict[str, Any]]:
    """A message's calls in OpenAI's form. texts: arguments as JSON text, as servers take them, instead of objects."""
    return [
        {
            "type": "function",
            "id": call.id,
            "function": {"name": call.name, "arguments": call.arguments if texts else call.values},
        }
        for call in message.calls
    ]
