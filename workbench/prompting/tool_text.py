"""Tools as chat templates take them, and as text for a model whose template has no place for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.prompting.prompt import Message
from workbench.prompting.tools import Tool, ToolCall, write_arguments, write_call

NO_TOOLS_NOTE = (
    "The model's chat template takes no tools: they are described in the system message, and calls are expected in the"
    " form of Hermes."
)
"""What a person has to know then."""


def declare_tools(tools: Sequence[Tool]) -> dict[str, Any]:
    """The variables by which chat templates take tools: `tools`, and FireFunction's `functions`."""
    declared = [tool.declaration for tool in tools]
    return {"tools": declared, "functions": write_arguments([one["function"] for one in declared])}


def describe_tools(messages: Sequence[Message], tools: Sequence[Tool]) -> tuple[Message, ...]:
    """The messages with the tools, and how to call one, at the end of the system message; one is put in front where
    there is none."""
    if not tools:
        return tuple(messages)
    listed = "\n".join(write_arguments(tool.declaration["function"]) for tool in tools)
    example = write_call(ToolCall("NAME", '{"PARAMETER": "VALUE"}'))
    text = f"Functions you may call, as JSON:\n{listed}\nTo call one, write:\n{example}\nOtherwise, answer."
    if messages and messages[0].role == "system":
        return (Message("system", f"{messages[0].content}\n\n{text}"), *messages[1:])
    return (Message("system", text), *messages)
