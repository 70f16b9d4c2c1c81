"""Tools and tool calls as rows of conversations hold them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from workbench.prompting.tools import Tool, ToolCall, write_arguments


def read_tools(text: str) -> tuple[Tool, ...]:
    """The tools of a column: a JSON list of OpenAI's declarations, or of their functions alone. Raises ValueError."""
    if not text.strip():
        return ()
    found = _decode(text, "tools")
    if isinstance(found, str):  # JSON in a text of JSON, as data sets with columns of one type have it
        found = _decode(found, "tools") if found.strip() else []
    if found is None:
        return ()
    if not isinstance(found, list):
        raise ValueError("tools: expected a list of functions")
    return tuple(_read_tool(number, item) for number, item in enumerate(found, start=1))


def _read_tool(number: int, item: Any) -> Tool:
    function = item.get("function", item) if isinstance(item, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise ValueError(f"tools: function {number} has no name")
    parameters = function.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise ValueError(f"tools: the parameters of {function['name']} are no JSON schema")
    return Tool(function["name"], str(function.get("description") or ""), parameters)


def read_calls(number: int, turn: Mapping[str, Any]) -> tuple[ToolCall, ...]:
    """The calls of a turn in OpenAI's form, `function_call` of its first form included. Raises ValueError."""
    listed = turn.get("tool_calls") or ()
    if not listed and isinstance(turn.get("function_call"), Mapping):
        listed = [{"function": turn["function_call"]}]
    if not isinstance(listed, (list, tuple)):
        raise ValueError(f"turn {number}: tool_calls is not a list")
    return tuple(_read_one(number, item) for item in listed)


def read_call(number: int, text: str) -> tuple[ToolCall, ...]:
    """The calls that ShareGPT's turn `function_call` holds as JSON text: one, or a list of them. Raises ValueError."""
    found = _decode(text, f"turn {number}")
    return tuple(_read_one(number, item) for item in (found if isinstance(found, list) else [found]))


def _read_one(number: int, item: Any) -> ToolCall:
    function = item.get("function", item) if isinstance(item, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise ValueError(f"turn {number} has a call without the name of a function")
    arguments = function.get("arguments", function.get("parameters", {}))
    if isinstance(arguments, str):
        arguments = _decode(arguments, f"turn {number}: arguments of {function['name']}") if arguments.strip() else {}
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise ValueError(f"turn {number}: the arguments of {function['name']} are not an object")
    return ToolCall(function["name"], write_arguments(arguments), str(item.get("id") or ""))


def _decode(text: str, where: str) -> Any:
    """As JSON; Python's parser takes what msgspec refuses, such as a control character within a text."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: not JSON: {error}") from error
