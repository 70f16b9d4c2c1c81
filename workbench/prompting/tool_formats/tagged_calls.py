"""Calls in tags: the name in one, and each argument in a tag of its own, with its value written bare."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from workbench.prompting.tool_formats.protocol import (
    CallError,
    ReadCalls,
    Schemas,
    ToolFormat,
    make_call,
    read_json_at,
    read_typed,
    skip_text,
)

_NAME = r"[\w.:/-]+"
_CDATA = re.compile(r"<!\[CDATA\[(.*)\]\]>", re.DOTALL)


def _tagged(
    name: str, opening: str, argument: str, *closings: str, breaks: bool = False, suffixed: bool = False
) -> ToolFormat:
    """A format with a group `name` in the opening, and `key`, `value` and, where it says that a value is text, `text`
    in each argument. closings: of a call, then what may stand behind it.

    breaks: the line breaks around a value on lines of its own are not part of it. suffixed: a tag may have a word
    behind a colon.
    """
    each = re.compile(rf"\s*{argument}", re.DOTALL)
    ends = [re.compile(r"\s*" + re.escape(one[:-1]) + (r"(?::\w+)?" if suffixed else "") + ">") for one in closings]

    def read(text: str, match: re.Match[str], schemas: Schemas) -> ReadCalls:
        called, end = match["name"].strip(), match.end()
        given: dict[str, Any] = {}
        while found := each.match(text, end):
            value = found["value"]
            if breaks and value.startswith("\n"):
                value = value[1:].removesuffix("\n")
            if quoted := _CDATA.fullmatch(value):
                value = quoted[1]
            is_text = found.groupdict().get("text")
            schema = {"type": "string"} if is_text == "true" else schemas.get(called, {}).get(found["key"])
            given[found["key"]] = read_typed(value, schema)
            end = found.end()
        if not ends[0].match(text, end) and text[end:].strip():
            raise CallError(f"the arguments of {called!r} are not closed")
        for closing in ends:
            end = behind.end() if (behind := closing.match(text, end)) else end
        return ReadCalls([make_call(called, given)], end)

    return ToolFormat(name, re.compile(opening), read)


QWEN_CODER = _tagged(
    "Qwen 3 Coder",
    rf"(?:<(?:seed:)?tool_call>\s*)?<function=(?P<name>{_NAME})>",
    r"<parameter=(?P<key>[^>\n]+)>(?P<value>.*?)(?:</parameter>|(?=<parameter=)|(?=</function>))",
    "</function>",
    "</tool_call>",
    "</seed:tool_call>",
    breaks=True,
)
GLM = _tagged(
    "GLM",
    rf"<tool_call>\s*(?P<name>{_NAME})\s*(?=<arg_key>|</tool_call>|\Z)",
    r"<arg_key>(?P<key>.*?)</arg_key>\s*<arg_value>(?P<value>.*?)</arg_value>",
    "</tool_call>",
)
MINIMAX = _tagged(
    "MiniMax",
    r"(?:<minimax:tool_call>\s*)?<invoke name=\"(?P<name>[^\"]+)\">",
    r"<parameter\s+name=\"(?P<key>[^\"]+)\">(?P<value>.*?)</parameter>",
    "</invoke>",
    "</minimax:tool_call>",
)
DSML = _tagged(
    "DeepSeek DSML",
    r"(?:<｜DSML｜(?:function_calls|tool_calls)>\s*)?<｜DSML｜invoke name=\"(?P<name>[^\"]+)\">",
    r"<｜DSML｜parameter name=\"(?P<key>[^\"]+)\"(?: string=\"(?P<text>true|false)\")?>"
    r"(?P<value>.*?)</｜DSML｜parameter>",
    "</｜DSML｜invoke>",
    "</｜DSML｜function_calls>",
    "</｜DSML｜tool_calls>",
)
MINICPM = _tagged(
    "MiniCPM",
    r"<function name=\"(?P<name>[^\"]+)\">",
    r"<param name=\"(?P<key>[^\"]+)\">(?P<value><!\[CDATA\[.*?\]\]>|.*?)</param>",
    "</function>",
)
KIMI_K3 = _tagged(
    "Kimi K3",
    r"(?:<\|open\|>tools<\|sep\|>)?<\|open\|>call tool=\"(?P<name>[^\"]+)\"[^<]*<\|sep\|>",
    r"<\|open\|>argument key=\"(?P<key>[^\"]+)\"[^<]*<\|sep\|>(?P<value>.*?)<\|close\|>argument<\|sep\|>",
    "<|close|>call<|sep|>",
    "<|close|>tools<|sep|>",
    "<|close|>message<|sep|>",
)

_GEMMA_QUOTE = '<|"|>'
_GEMMA_KEY = re.compile(r"\s*([\w.-]+)\s*:")


def _read_gemma(text: str, match: re.Match[str], schemas: Schemas) -> ReadCalls:
    given, end = _read_gemma_value(text, match.end() - 1, 0)
    return ReadCalls([make_call(match["name"], given)], skip_text(text, end, "<tool_call|>"))


def _read_gemma_value(text: str, at: int, depth: int) -> tuple[Any, int]:
    """A value in Gemma's notation: JSON but for keys without quotes, and texts between marks of their own."""
    if depth > 50:
        raise CallError("it nests too deeply")
    at = skip_text(text, at, "")
    if text.startswith(_GEMMA_QUOTE, at):
        end = text.find(_GEMMA_QUOTE, at + len(_GEMMA_QUOTE))
        if end < 0:
            raise CallError("a text is not closed")
        return text[at + len(_GEMMA_QUOTE) : end], end + len(_GEMMA_QUOTE)
    if text[at : at + 1] not in ("{", "["):
        return _read_gemma_word(text, at)
    closing = "}" if text[at] == "{" else "]"
    items: list[Any] = []
    fields: dict[str, Any] = {}
    at += 1
    while skip_text(text, at, closing) == at:
        key = _GEMMA_KEY.match(text, at) if closing == "}" else None
        if closing == "}" and key is None:
            raise CallError("its arguments are broken")
        value, at = _read_gemma_value(text, key.end() if key else at, depth + 1)
        if key:
            fields[key[1]] = value
        items.append(value)
        following = skip_text(text, at, ",")
        if following == at and skip_text(text, at, closing) == at:
            raise CallError("its arguments are not closed")
        at = following
    return fields if closing == "}" else items, skip_text(text, at, closing)


def _read_gemma_word(text: str, at: int) -> tuple[Any, int]:
    try:
        return read_json_at(text, at)
    except CallError:
        word = re.match(r"\s*([^,{}\[\]<]*)", text[at:])
        assert word is not None
        return read_typed(word[1].strip(), None), at + word.end()


GEMMA = ToolFormat("Gemma 4", re.compile(r"<\|tool_call>\s*call:(?P<name>[\w.:-]+)\{"), _read_gemma)

HUNYUAN = _tagged(
    "Hunyuan 3",
    rf"(?:<tool_calls(?::\w+)?>\s*)?<tool_call(?::\w+)?>\s*(?P<name>{_NAME})\s*<tool_sep(?::\w+)?>",
    r"<arg_key(?::\w+)?>(?P<key>.*?)</arg_key(?::\w+)?>\s*<arg_value(?::\w+)?>(?P<value>.*?)</arg_value(?::\w+)?>",
    "</tool_call>",
    "</tool_calls>",
    suffixed=True,
)
MUSE = _tagged(
    "Muse",
    r"(?:<atem:function_calls>\s*)?<atem:invoke name=\"(?P<name>[^\"]+)\">",
    r"<atem:parameter name=\"(?P<key>[^\"]+)\">(?P<value>.*?)</atem:parameter>",
    "</atem:invoke>",
    "</atem:function_calls>",
)

_M3 = r"\]<\]minimax\[>\["
_M3_TAG = re.compile(rf"\s*{_M3}<([\w.-]+)>")


def _read_minimax_3(text: str, match: re.Match[str], schemas: Schemas) -> ReadCalls:
    given, end = _read_fields(text, match.end(), schemas.get(match["name"], {}), 0)
    closing = re.compile(rf"\s*{_M3}</invoke>(?:\s*{_M3}</tool_call>)?").match(text, end)
    if closing is None and text[end:].strip():
        raise CallError(f"the arguments of {match['name']!r} are not closed")
    return ReadCalls([make_call(match["name"], dict(given))], closing.end() if closing else end)


def _read_fields(text: str, at: int, schemas: Any, depth: int) -> tuple[list[tuple[str, Any]], int]:
    """Tags that follow one another, each with a value or with further tags in it."""
    fields: list[tuple[str, Any]] = []
    while tag := _M3_TAG.match(text, at):
        if depth > 50:
            raise CallError("it nests too deeply")
        schema = schemas.get(tag[1]) if isinstance(schemas, dict) else None
        inner, end = _read_fields(text, tag.end(), {}, depth + 1)
        closing = re.compile(rf"\s*{_M3}</{re.escape(tag[1])}>")
        if inner and (closed := closing.match(text, end)) and not _is_text(schema):
            names = {name for name, _ in inner}
            fields.append((tag[1], [value for _, value in inner] if names == {"item"} else dict(inner)))
        elif closed := closing.search(text, tag.end()):
            fields.append((tag[1], read_typed(text[tag.end() : closed.start()], schema)))
        else:
            raise CallError(f"<{tag[1]}> is not closed")
        at = closed.end()
    return fields, at


def _is_text(schema: object) -> bool:
    """Whether a value can be neither an object nor a list, as far as its schema says."""
    kinds = set(_list_kinds(schema))
    return bool(kinds) and not kinds & {"object", "array"}


def _list_kinds(schema: object) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    kind = schema.get("type")
    yield from (one for one in (kind if isinstance(kind, list) else [kind]) if isinstance(one, str))
    for key in ("anyOf", "oneOf"):
        for one in schema[key] if isinstance(schema.get(key), list) else ():
            yield from _list_kinds(one)


MINIMAX_3 = ToolFormat(
    "MiniMax M3", re.compile(rf"(?:{_M3}<tool_call>\s*)?{_M3}<invoke name=\"(?P<name>[^\"]+)\">"), _read_minimax_3
)
