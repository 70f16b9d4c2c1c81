"""Which messages are missing from the text that a chat template makes of them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from workbench.prompting.prompt import Message, Role
from workbench.prompting.tools import ToolCall

_REASONING = re.compile(
    r"\A\s*(?:<(?P<tag>[\w:|]*(?:think|thought|reasoning)[\w:|]*)>.*?</(?P=tag)>|\[THINK\].*?\[/THINK\])",
    re.DOTALL | re.IGNORECASE,
)
"""A reasoning block at the beginning of an answer."""


class MessageLoss(NamedTuple):
    """A message that did not arrive as it was written. kind: all of it, the reasoning before an answer, its tool calls,
    or only its white space. serious: worth another way to lay it out."""

    position: int
    role: Role
    kind: Literal["text", "reasoning", "calls", "white space"]
    serious: bool = True


def find_losses(
    messages: Sequence[Message], text: str, lost: Collection[int], open_end: bool, lost_calls: Collection[int] = ()
) -> tuple[MessageLoss, ...]:
    """What of these messages is not in the text, white space around each one aside.

    lost, lost_calls: places that are known to be left out, and of which the tool calls are. open_end: the last one is
    an answer to be continued.
    """
    return tuple(_find(messages, text, lost, open_end, lost_calls))


def _list_pieces(message: Message) -> list[str]:
    """A message's text, that before and behind each picture by itself: a template may put pictures elsewhere."""
    bounds = [0, *(picture.at for picture in message.pictures), len(message.content)]
    return [piece for start, end in pairwise(bounds) if (piece := message.content[start:end].strip())]


def _find(
    messages: Sequence[Message], text: str, lost: Collection[int], open_end: bool, lost_calls: Collection[int]
) -> Iterator[MessageLoss]:
    for index, message in enumerate(messages):
        if index in lost_calls or not all(_holds_call(text, call) for call in message.calls):
            yield MessageLoss(index, message.role, "calls")
        content = message.content.strip()
        if not content:
            continue
        if index in lost:
            yield MessageLoss(index, message.role, "text")
        elif all(_holds(text, piece) for piece in _list_pieces(message)):
            continue
        elif message.role == "assistant" and (answer := _REASONING.sub("", content)) != content:
            begun = open_end and index == len(messages) - 1
            if _holds(text, answer.strip()):
                yield MessageLoss(index, message.role, "reasoning", begun)
            else:
                yield MessageLoss(index, message.role, "text")
        elif _squeeze(content) in _squeeze(text):
            yield MessageLoss(index, message.role, "white space", False)
        else:
            yield MessageLoss(index, message.role, "text")


def _holds(text: str, content: str) -> bool:
    """Whether a content is in the text, as it is or spelled as JSON."""
    return content in text or json.dumps(content, ensure_ascii=False)[1:-1] in text


def _holds_call(text: str, call: ToolCall) -> bool:
    """Whether the names of a tool and of its arguments, and the text of each argument, are in a text."""
    values = [value for value in call.values.values() if isinstance(value, str) and value.strip()]
    named = all(name in text for name in (call.name, *call.values))
    return named and all(_holds(text, value.strip()) for value in values)


def _squeeze(text: str) -> str:
    return "".join(text.split())


def describe_losses(losses: Sequence[MessageLoss]) -> tuple[str, ...]:
    """A sentence for each kind of loss."""
    counts = Counter((loss.kind, loss.role) for loss in losses)
    return tuple(_describe(kind, role, count) for (kind, role), count in counts.items())


def _describe(kind: str, role: str, count: int) -> str:
    named = f"a {role} message" if count == 1 else f"{count} {role} messages"
    named = named.replace("a assistant", "an assistant")
    if kind == "reasoning":
        return f"The model's chat template leaves out the reasoning in {named}."
    if kind == "calls":
        return f"The model's chat template leaves out the tool calls of {named}."
    if kind == "white space":
        return f"The model's chat template changes white space inside {named}."
    return f"The model's chat template leaves out {named}."
