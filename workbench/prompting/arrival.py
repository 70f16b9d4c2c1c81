"""Which messages arrive in the text that a chat template makes of them, and which do not.

Knows nothing of templates.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Literal, NamedTuple

from workbench.prompting.prompt import Message, Role

_REASONING = re.compile(
    r"\A\s*(?:<(?P<tag>[\w:|]*(?:think|thought|reasoning)[\w:|]*)>.*?</(?P=tag)>|\[THINK\].*?\[/THINK\])",
    re.DOTALL | re.IGNORECASE,
)
"""A reasoning block at the beginning of an answer."""


class Loss(NamedTuple):
    """A message that did not arrive as it was written. kind: all of it, the reasoning before an answer, or only its
    white space. serious: worth another way to lay it out."""

    place: int
    role: Role
    kind: Literal["text", "reasoning", "white space"]
    serious: bool = True


def find_losses(messages: Sequence[Message], text: str, lost: Collection[int], open_end: bool) -> tuple[Loss, ...]:
    """What of these messages is not in the text, white space around each one aside.

    lost: places that are known to be left out. open_end: the last one is an answer to be continued.
    """
    return tuple(_find(messages, text, lost, open_end))


def _find(messages: Sequence[Message], text: str, lost: Collection[int], open_end: bool) -> Iterator[Loss]:
    for place, message in enumerate(messages):
        content = message.content.strip()
        if not content:
            continue
        if place in lost:
            yield Loss(place, message.role, "text")
        elif _holds(text, content):
            continue
        elif message.role == "assistant" and (answer := _REASONING.sub("", content)) != content:
            begun = open_end and place == len(messages) - 1
            if _holds(text, answer.strip()):
                yield Loss(place, message.role, "reasoning", begun)
            else:
                yield Loss(place, message.role, "text")
        elif _squeeze(content) in _squeeze(text):
            yield Loss(place, message.role, "white space", False)
        else:
            yield Loss(place, message.role, "text")


def _holds(text: str, content: str) -> bool:
    """Whether a content is in the text, as it is or spelled as JSON."""
    return content in text or json.dumps(content, ensure_ascii=False)[1:-1] in text


def _squeeze(text: str) -> str:
    return "".join(text.split())


def describe_losses(losses: Sequence[Loss]) -> tuple[str, ...]:
    """A sentence for each kind of loss."""
    counts = Counter((loss.kind, loss.role) for loss in losses)
    return tuple(_describe(kind, role, count) for (kind, role), count in counts.items())


def _describe(kind: str, role: str, count: int) -> str:
    named = f"a {role} message" if count == 1 else f"{count} {role} messages"
    named = named.replace("a assistant", "an assistant")
    if kind == "reasoning":
        return f"The model's chat template leaves out the reasoning in {named}."
    if kind == "white space":
        return f"The model's chat template changes white space inside {named}."
    return f"The model's chat template leaves out {named}."
