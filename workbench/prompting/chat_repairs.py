"""Other ways to hand messages to a chat template that drops or refuses some of them as they are.

Each keeps every text and every order of turns; what it moves is told. Knows nothing of templates.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from workbench.prompting.prompt import Message

Systems = Literal["kept", "first", "none"]
"""System messages: as they are; one at the beginning, later ones before the user message behind them; all of them
there."""


class Repair(NamedTuple):
    """What is done to messages before they are laid out.

    typed: contents are lists of typed parts, as templates of models that see pictures want them.
    appends: a begun answer stands behind the template's own opening of one, instead of going through the template.
    """

    typed: bool = False
    appends: bool = False
    systems: Systems = "kept"


def describe_repair(repair: Repair, messages: Sequence[Message]) -> tuple[str, ...]:
    """What of a repair a person has to know, one sentence each: what is sent stands elsewhere than it was written."""
    if repair.systems == "kept":
        return ()
    roles = [message.role for message in messages]
    if "user" not in roles:
        return ("The model's chat template drops a system message by itself: it is sent as a user message.",)
    leading = len(list(itertools.takewhile(lambda role: role == "system", roles)))
    last_user = len(roles) - 1 - roles[::-1].index("user")
    told = []
    if repair.systems == "none" and leading:
        told.append("takes no system message: it is put before the first user message")
    if repair.systems == "first" and leading > 1:
        told.append(f"takes one system message: the {leading} at the beginning are joined")
    if "system" in roles[leading:last_user]:
        told.append("takes no later system message: it is put before the user message behind it")
    if "system" in roles[max(leading, last_user) :]:
        told.append("takes no system message at the end: it is put behind the last user message")
    return tuple(f"The model's chat template {sentence}." for sentence in told)


def choose_repairs(messages: Sequence[Message], open_end: bool) -> Iterator[Repair]:
    """Every repair that can change something, the most faithful ones first; none at all before them."""
    appends = (False, True) if open_end else (False,)
    roles = [message.role for message in messages]
    systems: tuple[Systems, ...] = ("kept",)
    if "system" in roles:
        systems = ("kept", "first", "none") if roles.count("system") > 1 or roles[0] != "system" else ("kept", "none")
    for moved, typed, appended in itertools.product(systems, (False, True), appends):
        yield Repair(typed, appended, moved)


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
    return _place_rest(kept, held)


def _place_rest(kept: list[Message], held: list[str]) -> list[Message]:
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


def type_contents(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages whose contents are one typed part each."""
    return [{"role": message.role, "content": [{"type": "text", "text": message.content}]} for message in messages]
