"""Calls that are JSON: an object with name and arguments, or a list of such, behind a mark of the model's own."""

from __future__ import annotations

import re
from collections.abc import Callable

from workbench.prompting.tool_formats.protocol import (
    CallError,
    ReadCalls,
    Schemas,
    ToolFormat,
    make_call,
    read_json_at,
    skip_space,
    skip_text,
)
from workbench.prompting.tools import ToolCall

_NAMES = ("name", "tool_name", "function")
_ARGUMENTS = ("arguments", "parameters", "args")
_FENCE = re.compile(r"\s*```(?:json)?\s*")


def read_object(value: object) -> ToolCall:
    """The call that an object says. Raises CallError."""
    if not isinstance(value, dict):
        raise CallError("a call is not an object")
    inner = value.get("function")
    if isinstance(inner, dict):  # OpenAI's own form
        value = {**value, **inner}
    name = next((value[key] for key in _NAMES if isinstance(value.get(key), str)), None)
    arguments: object = next((value[key] for key in _ARGUMENTS if key in value), {})
    return make_call(name, arguments, value.get("id", value.get("tool_call_id", "")))


def read_keyed(value: object) -> ToolCall:
    """The call of an object whose only key is the tool's name, as Apertus writes it. Raises CallError."""
    if not isinstance(value, dict) or len(value) != 1:
        raise CallError("expected one tool by name")
    name, arguments = next(iter(value.items()))
    return make_call(name, arguments)


def _wrapped(name: str, opening: str, *closings: str, one: Callable[[object], ToolCall] = read_object) -> ToolFormat:
    """A format whose calls stand between marks, one behind the other or in a list. closings: what may stand behind."""

    def read(text: str, match: re.Match[str], schemas: Schemas) -> ReadCalls:
        begin = fence.end() if (fence := _FENCE.match(text, match.end())) else match.end()
        calls: list[ToolCall] = []
        while True:
            value, end = read_json_at(text, begin)
            calls += [one(each) for each in (value if isinstance(value, list) else [value])]
            begin = skip_space(text, end)
            if not text.startswith("{", begin):
                break
        if fence:
            end = skip_text(text, end, "```")
        return ReadCalls(calls, skip_text(text, end, *closings))

    return ToolFormat(name, re.compile(opening), read)


HERMES = _wrapped("Hermes", r"<tool_call>", "</tool_call>")
TOOL_CALLS_TAG = _wrapped("Apriel", r"<tool_calls>", "</tool_calls>")
NEMOTRON = _wrapped("Nemotron", r"<TOOLCALL>", "</TOOLCALL>")
GRANITE = _wrapped("Granite", r"<\|tool_call\|>|<tool_call>", "</tool_call>")
MISTRAL = _wrapped("Mistral", r"\[TOOL_CALLS\]\s*(?=\[|\{)")
FIREFUNCTION = _wrapped("FireFunction", r"functools(?=\s*\[)")
COMMAND_R7B = _wrapped("Command R7B", r"<\|START_ACTION\|>", "<|END_ACTION|>")
COMMAND_R_PLUS = _wrapped("Command R+", r"Action:(?=\s*```)")
APERTUS = _wrapped("Apertus", r"<\|tools_prefix\|>", "<|tools_suffix|>", one=read_keyed)
GIGACHAT = _wrapped(
    "GigaChat", r"<\|function_call\|>|(?:<\|message_sep\|>\s*)?function call(?:<\|role_sep\|>)?\n(?=\{)"
)
PHI = _wrapped("Phi", r"<\|tool_call\|>", "<|/tool_call|>")
