"""The cases of llama.cpp's own chat tests, read from its source distribution: an answer, and the calls in it.

Only what can be read without compiling: cases whose input and expectation are literals or known constants.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from workbench.prompting.tools import Tool

_LITERAL = re.compile(r'R"(\w*#?)\((.*?)\)\1"|"((?:[^"\\]|\\.)*)"', re.DOTALL)
_NEXT = re.compile(rf"\s*(?:{_LITERAL.pattern})", re.DOTALL)
_TESTER = re.compile(r'peg_tester\(\s*"models/templates/([^"]+)\.jinja"')
_CASE = re.compile(r"\btst2?\.test\((.*?)\.\s*run\(\)", re.DOTALL)
_TOOL = re.compile(r"static common_chat_tool (\w+)\s*\{(.*?)\n\};", re.DOTALL)
_CONSTANTS = ("message_assist_call", "message_assist_call_content", "message_assist_call_id", "message_assist_call_idx",
              "message_assist_call_thoughts", "message_assist_thoughts_call_idx")  # fmt: skip


class LlamaCppCase(NamedTuple):
    template: str
    text: str
    tools: tuple[Tool, ...]
    calls: tuple[tuple[str, Any], ...]


def read_cases(folder: Path) -> list[LlamaCppCase]:
    source = (folder / "vendor/llama.cpp/tests/test-chat.cpp").read_text("utf-8")
    tools = {name: _make_tool(body) for name, body in _TOOL.findall(source)}
    testers = [(match.start(), match[1]) for match in _TESTER.finditer(source)]
    ends = [start for start, _ in testers[1:]] + [len(source)]
    found = []
    for (start, template), end in zip(testers, ends, strict=True):
        found += list(_read_block(template, source[start:end], tools))
    return found


def _read_block(template: str, block: str, tools: dict[str, Tool]) -> Iterator[LlamaCppCase]:
    for case in _CASE.findall(block):
        given, literal, chain = _split(case)
        named = re.search(r"\.tools\(\{(.*?)\}\)", chain, re.DOTALL)
        if not literal or "is_partial(true)" in chain or "continue_final" in chain or named is None:
            continue
        offered = tuple(tools[name] for name in re.findall(r"\w+", named[1]) if name in tools)
        calls = _read_calls(chain)
        if calls is not None and len(offered) == len(re.findall(r"\w+", named[1])):
            yield LlamaCppCase(template, given, offered, calls)


def _split(case: str) -> tuple[str, bool, str]:
    """The input, whether it is made of literals alone, and what follows."""
    at, text = 0, ""
    while match := _NEXT.match(case, at):
        text += _decode(match)
        at = match.end()
    return text, case[at:].lstrip().startswith(")"), case[at:]


def _decode(match: re.Match[str]) -> str:
    raw, plain = match.group(2), match.group(3)
    return raw if plain is None else str(ast.literal_eval('"' + plain.replace("\n", "\\n") + '"'))


def _read_calls(chain: str) -> tuple[tuple[str, Any], ...] | None:
    if listed := re.search(r"\.expect_tool_calls\(\{(.*)\}\s*\)", chain, re.DOTALL):
        return tuple(_read_pairs(listed[1]))
    if constant := re.search(r"\.expect\((\w+)\)", chain):
        return (("special_function", {"arg1": 1}),) if constant[1] in _CONSTANTS else None
    if made := re.search(r"\.\s*expect\(message_with_tool_calls\((.*?)\)\s*\)\s*(?:\.|$|;)", chain, re.DOTALL):
        name, arguments = [_decode(match) for match in _LITERAL.finditer(made[1])][:2]
        return ((name, json.loads(arguments)),)
    return None


def _read_pairs(text: str) -> Iterator[tuple[str, Any]]:
    """Name and arguments of each `{ "name", "arguments", … }`."""
    at = 0
    while begun := re.compile(r"[^\"]*?\{\s*(?=R?\")").match(text, at):
        name = _NEXT.match(text, begun.end())
        assert name is not None
        arguments, at = "", name.end() + 1
        while part := _NEXT.match(text, at):
            arguments += _decode(part)
            at = part.end()
        yield _decode(name), json.loads(arguments)
        at = text.find("}", at + 1) + 1 if text[at : at + 3].strip(", ").startswith("{") else text.find("}", at)


def _make_tool(body: str) -> Tool:
    texts = [_decode(match) for match in _LITERAL.finditer(body)]
    return Tool(texts[0], texts[1], json.loads(texts[2]))
