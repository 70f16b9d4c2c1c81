"""ToolFormat: how one family of models writes calls, and what an answer parsed by it holds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from workbench.prompting.tools import Tool, ToolCall, write_arguments

Schemas = Mapping[str, Mapping[str, Any]]
"""Tool name -> the schema of each of its parameters."""

_SPACE = re.compile(r"\s*")


class CallError(ValueError):
    """Why a text that begins like a call is none."""


class NotACallError(CallError):
    """A text that might have been a call and is an answer like any other."""


class ParsedAnswer(NamedTuple):
    """An answer in its parts. content: what is said beside the calls. calls: in their order.

    problem: why the rest of the text, which begins like a call, is none; that rest is part of the content. "" where
    every call was well formed.
    """

    content: str
    calls: tuple[ToolCall, ...] = ()
    problem: str = ""


class ReadCalls(NamedTuple):
    """Calls that were read, and where in the text they end."""

    calls: list[ToolCall]
    end: int


class ToolFormat(NamedTuple):
    """name: for a person. opening: where a call, or a list of them, begins in an answer. read: reads it from the match
    on; raises CallError. prepare: of a whole answer, what is left out before calls are looked for.
    """

    name: str
    opening: re.Pattern[str]
    read: Callable[[str, re.Match[str], Schemas], ReadCalls]
    prepare: Callable[[str], str] = str

    def parse(self, text: str, tools: Sequence[Tool]) -> ParsedAnswer:
        """The calls in an answer; never raises for any text."""
        schemas = {tool.name: _find_properties(tool) for tool in tools}
        text = self.prepare(text)
        calls: list[ToolCall] = []
        content: list[str] = []
        at = 0
        while match := self.opening.search(text, at):
            try:
                found, end = self.read(text, match, schemas)
            except NotACallError:
                break
            except (CallError, RecursionError) as error:
                return ParsedAnswer("".join([*content, text[at:]]).strip(), tuple(calls), _explain(error))
            content.append(text[at : match.start()])
            calls += found
            at = max(end, match.end())
            if match.end() == match.start() == len(text):
                break
        rest = "".join([*content, text[at:]]).strip()
        return ParsedAnswer(rest, tuple(calls), "" if calls else self._find_other(rest))

    def _find_other(self, text: str) -> str:
        """Why an answer without a call looks like one of another form; "" where it does not."""
        if mark := _MARKS.search(text):
            return f"it has {mark[0]}, and no call in the form of {self.name}"
        if _BARE.match(text):
            return f"it is the JSON of a call, and not in the form of {self.name}"
        return ""


def either(name: str, one: ToolFormat, other: ToolFormat) -> ToolFormat:
    """A format of models that write calls in two forms."""

    def read(text: str, match: re.Match[str], schemas: Schemas) -> ReadCalls:
        for form in (one, other):
            if own := form.opening.match(text, match.start()):
                return form.read(text, own, schemas)
        raise NotACallError

    opening = re.compile(f"{one.opening.pattern}|{_without_names(other.opening.pattern)}", one.opening.flags)
    return ToolFormat(name, opening, read, lambda text: other.prepare(one.prepare(text)))


def _without_names(pattern: str) -> str:
    """The pattern with its groups unnamed: a name may stand only once."""
    return re.sub(r"\(\?P<\w+>", "(?:", pattern)


_MARKS = re.compile(
    r"</?(?:seed:|minimax:)?tool_calls?>|<\|tool_call\|?>|\[TOOL_CALLS\]|<function=|<\|python_tag\|>|<\|START_ACTION\|>"
    r"|<｜tool▁calls?▁begin｜>|<\|tool_call_begin\|>|<\|tool_call_start\|>|<TOOLCALL>"
)
_BARE = re.compile(
    r'(?:```(?:json)?\s*)?[\[\s]*\{\s*"(?:name|tool_name|function)"\s*:\s*"[^"]*"\s*,\s*"(?:arguments|parameters)"'
)


def _explain(error: Exception) -> str:
    return str(error) if isinstance(error, CallError) else "it nests too deeply"


def _find_properties(tool: Tool) -> Mapping[str, Any]:
    properties = tool.parameters.get("properties")
    return properties if isinstance(properties, dict) else {}


def skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def skip_text(text: str, at: int, *wanted: str) -> int:
    """Behind the first of these texts that stands at a place, white space before it aside; the place where none does.

    What closes a call may be missing: it is often the token that ends the answer.
    """
    begin = skip_space(text, at)
    return next((begin + len(one) for one in wanted if one and text.startswith(one, begin)), at)


def read_json_at(text: str, at: int) -> tuple[Any, int]:
    """The JSON value at a place, and where it ends. Raises CallError."""
    try:
        value, end = _DECODER.raw_decode(text, skip_space(text, at))
    except ValueError as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise CallError(f"its JSON is broken ({reason})") from error
    return value, end


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def make_call(name: object, arguments: object, id: object = "") -> ToolCall:
    """A call of these parts. Raises CallError for a name that is no text, or arguments that are no object."""
    if not isinstance(name, str) or not name.strip():
        raise CallError("it names no tool")
    if isinstance(arguments, str):
        arguments = read_json_at(arguments, 0)[0] if arguments.strip() else {}
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise CallError(f"the arguments of {name.strip()!r} are not an object")
    return ToolCall(name.strip(), write_arguments(arguments), str(id) if isinstance(id, (str, int)) else "")


def read_typed(text: str, schema: object) -> Any:
    """A value that is written bare, as the tool's schema has it: text where it may only be text, else JSON if it is."""
    kind = schema.get("type") if isinstance(schema, dict) else None
    if kind == "string":
        return text
    try:
        value, end = _DECODER.raw_decode(text.strip())
    except (ValueError, RecursionError):
        spoken = {"true": True, "false": False, "none": None}.get(text.strip().lower(), text)
        return spoken if kind != "string" else text
    return value if end == len(text.strip()) else text
