"""Calls without a mark of their own: an answer that is the JSON of a call, or a list of Python calls."""

from __future__ import annotations

import ast
import re
from typing import Any

from workbench.prompting.tool_formats.json_calls import read_object
from workbench.prompting.tool_formats.protocol import (
    CallError,
    NotACallError,
    ReadCalls,
    Schemas,
    ToolFormat,
    make_call,
    read_json_at,
    skip_space,
    skip_text,
)
from workbench.prompting.tools import ToolCall

_NAMED = ("name", "tool_name")
_GIVEN = ("arguments", "parameters", "args")
_LONGEST_PYTHON = 100_000


def _is_call(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    named = any(isinstance(value.get(key), str) for key in _NAMED) and any(key in value for key in _GIVEN)
    return named or isinstance(value.get("function"), dict)


def _read_json(text: str, at: int) -> ReadCalls:
    """The calls that an answer is, several with a semicolon, a comma or nothing between them."""
    calls: list[ToolCall] = []
    while True:
        try:
            value, end = read_json_at(text, at)
        except CallError as error:
            if calls or re.match(r'[\[\s]*\{\s*"(?:name|type|function)"\s*:', text[at:]):
                raise
            raise NotACallError from error
        found = value if isinstance(value, list) else [value]
        if not found or not all(_is_call(one) for one in found):
            if not calls:
                raise NotACallError
            return ReadCalls(calls, at)
        calls += [read_object(one) for one in found]
        at = skip_space(text, skip_text(text, end, ";", ","))
        if at >= len(text) or text[at] != "{":
            return ReadCalls(calls, skip_text(text, end, "```"))


def read_python(text: str, at: int, closing: str) -> ReadCalls:
    """`[f(a=1), g(b="x")]` or a single call, up to a closing text or the end. Raises CallError.

    Only literals are read; nothing is evaluated.
    """
    found = text.find(closing, at) if closing else -1
    end = found if found >= 0 else len(text)
    source = text[at:end].strip()
    if len(source) > _LONGEST_PYTHON:
        raise CallError("it is too long")
    try:
        tree = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, MemoryError) as error:
        raise CallError("it is not a list of calls") from error
    nodes = tree.elts if isinstance(tree, (ast.List, ast.Tuple)) else [tree]
    return ReadCalls([_read_node(node) for node in nodes], end + len(closing) if found >= 0 else end)


def _read_node(node: ast.expr) -> ToolCall:
    if not isinstance(node, ast.Call) or node.args:
        raise CallError("it is not a call with named arguments")
    name = ast.unparse(node.func).removesuffix(".call")  # Llama's own: brave_search.call(query="…")
    try:
        given = {one.arg: ast.literal_eval(_without_names(one.value)) for one in node.keywords if one.arg}
    except (ValueError, TypeError, SyntaxError, MemoryError) as error:
        raise CallError(f"an argument of {name!r} is not a plain value") from error
    try:
        return make_call(name, given)
    except (TypeError, ValueError) as error:
        raise CallError(f"an argument of {name!r} is no JSON value") from error


def _without_names(node: ast.expr) -> ast.expr:
    """The same with JSON's words for Python's."""
    words = {"true": True, "false": False, "null": None}
    if isinstance(node, ast.Name) and node.id in words:
        return ast.Constant(words[node.id])
    return node


def _read_llama(text: str, match: re.Match[str], schemas: Schemas) -> ReadCalls:
    at = skip_space(text, match.end())
    if text[at : at + 1] in ("{", "["):
        return _read_json(text, at)
    return read_python(text, at, "")


LLAMA = ToolFormat("Llama 3", re.compile(r"<\|python_tag\|>|\A\s*(?:```(?:json)?\s*)?(?=\{|\[\s*\{)"), _read_llama)
"""Llama 3.1 to 3.3: the whole answer is the call, behind `<|python_tag|>` or not."""

LFM = ToolFormat(
    "LFM2",
    re.compile(r"<\|tool_call_start\|>"),
    lambda text, match, schemas: read_python(text, match.end(), "<|tool_call_end|>"),
)
GENERIC = ToolFormat(
    "JSON",
    re.compile(r"\A\s*(?:```(?:json)?\s*)?(?=\{|\[\s*\{)"),
    lambda text, match, schemas: _read_json(text, match.end()),
)
"""An answer that is held to the JSON of a call; see constrained calls."""
