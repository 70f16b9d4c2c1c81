"""Messages on the wire, with tool calls and pictures as servers take them, and calls that come in pieces.

A server reads the calls out of what its model wrote. They are put back into the answer's text, in the form of Hermes,
so that an answer is parsed the same way wherever it was made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from workbench.prompting.chat_repairs import list_calls
from workbench.prompting.prompt import Message
from workbench.prompting.tools import Tool, ToolCall, write_arguments, write_call

MOST_CALLS = 100
"""in one answer; a server may send any number"""

_LONGEST = 1_000_000


def write_messages(messages: Sequence[Message], texts: bool = True) -> list[dict[str, Any]]:
    """Messages as a request holds them. texts: the arguments of calls are JSON texts, as OpenAI has them."""
    return [_write_message(message, texts) for message in messages]


def _write_message(message: Message, texts: bool) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.pictures and texts:
        turn["content"] = list(_list_parts(message))
    elif message.pictures:
        turn["images"] = [picture.encoded for picture in message.pictures]
    if message.calls:
        turn["tool_calls"] = list_calls(message, texts)
    if message.role == "tool":
        turn |= {"tool_call_id": message.call_id, "name": message.name} if texts else {"tool_name": message.name}
    return turn


def _list_parts(message: Message) -> Iterator[dict[str, Any]]:
    """Text and pictures in their order."""
    at = 0
    for picture in message.pictures:
        if text := message.content[at : picture.at]:
            yield {"type": "text", "text": text}
        yield {"type": "image_url", "image_url": {"url": picture.url}}
        at = picture.at
    if text := message.content[at:]:
        yield {"type": "text", "text": text}


def write_tools(tools: Sequence[Tool]) -> dict[str, Any]:
    """What a request says of its tools; nothing where it has none."""
    return {"tools": [tool.declaration for tool in tools]} if tools else {}


class StreamedCalls:
    """The calls of one answer, as far as they have come."""

    def __init__(self) -> None:
        self._parts: dict[int, dict[str, str]] = {}

    def add(self, deltas: object) -> None:
        """Take a piece of a stream's `tool_calls`; what is no such piece is left out."""
        for position, delta in enumerate(deltas if isinstance(deltas, list) else ()):
            if not isinstance(delta, dict):
                continue
            index = delta.get("index", position)
            if type(index) is not int or (index not in self._parts and len(self._parts) >= MOST_CALLS):
                continue
            part = self._parts.setdefault(index, {"id": "", "name": "", "arguments": ""})
            function = delta.get("function")
            function = function if isinstance(function, dict) else {}
            for key, piece in (("id", delta.get("id")), ("name", function.get("name"))):
                if isinstance(piece, str) and piece != part[key]:
                    part[key] += piece
            arguments = function.get("arguments")
            if isinstance(arguments, dict):
                arguments = write_arguments(arguments)
            if isinstance(arguments, str) and len(part["arguments"]) < _LONGEST:
                part["arguments"] += arguments

    @property
    def text(self) -> str:
        """The calls in the form of Hermes, one behind the other; arguments that are no JSON object as they came."""
        return "\n".join(map(_write, (self._parts[index] for index in sorted(self._parts))))


def _write(part: dict[str, str]) -> str:
    call = ToolCall(part["name"], part["arguments"] or "{}", part["id"])
    if call.values or call.arguments.strip() == "{}":
        return write_call(call)
    return f'<tool_call>\n{{"name": {write_arguments(call.name)}, "arguments": {call.arguments}}}\n</tool_call>'
