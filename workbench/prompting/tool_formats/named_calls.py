"""Calls whose name stands outside of the JSON of their arguments."""

from __future__ import annotations

import re

from workbench.prompting.tool_formats.json_calls import HERMES, MISTRAL
from workbench.prompting.tool_formats.protocol import (
    ReadCalls,
    Schemas,
    ToolFormat,
    either,
    make_call,
    read_json_at,
    skip_text,
)

_NAME = r"[\w.:/-]+"


def _named(name: str, opening: str, *closings: str, prepare: re.Pattern[str] | None = None) -> ToolFormat:
    """A format with the groups `name` and, where there are any, `id`; the arguments stand behind the match.

    prepare: what of an answer is left out first, but for its group `kept`.
    """

    def read(text: str, match: re.Match[str], schemas: Schemas) -> ReadCalls:
        found = match.groupdict()
        arguments, end = read_json_at(text, match.end())
        for closing in closings:
            end = skip_text(text, end, closing)
        return ReadCalls([make_call(found["name"], arguments, found.get("id") or "")], end)

    def strip(text: str) -> str:
        return prepare.sub(lambda match: match.groupdict().get("kept") or "", text) if prepare else text

    return ToolFormat(name, re.compile(opening), read, strip)


_MISTRAL_ARGS = _named(
    "Mistral", rf"\[TOOL_CALLS\]\s*(?P<name>{_NAME})\s*(?:\[CALL_ID\](?P<id>\w+))?\s*(?:\[ARGS\])?(?=\s*\{{)"
)
MISTRAL_ANY = either("Mistral", MISTRAL, _MISTRAL_ARGS)
"""The older list of objects, or the newer name before its arguments."""

KIMI = _named(
    "Kimi K2",
    rf"(?:<\|tool_calls_section_begin\|>)?\s*<\|tool_call_begin\|>\s*"
    rf"(?P<id>(?:functions\.)?(?P<name>{_NAME}?)(?::\d+)?)\s*<\|tool_call_argument_begin\|>",
    "<|tool_call_end|>",
    "<|tool_calls_section_end|>",
)
_DEEPSEEK_OWN = _named(
    "DeepSeek",
    rf"(?:<｜tool▁calls▁begin｜>)?\s*<｜tool▁call▁begin｜>\s*(?:function<｜tool▁sep｜>)?(?P<name>{_NAME})"
    r"\s*(?:<｜tool▁sep｜>)?\s*(?:```json\s*)?",
    "```",
    "<｜tool▁call▁end｜>",
    "<｜tool▁calls▁end｜>",
)
DEEPSEEK = either("DeepSeek", _DEEPSEEK_OWN, HERMES)
"""Its own marks, or as the models that R1 was distilled into have learned it."""

FUNCTIONARY_31 = _named("Functionary 3.1", rf"<function=(?P<name>{_NAME})>(?=\s*\{{)", "</function>")
FUNCTIONARY_32 = _named(
    "Functionary 3.2", rf"(?:\A|>>>)(?!all\n)(?P<name>{_NAME})\n(?=\s*\{{)", prepare=re.compile(r"(?:\A|>>>)all\n")
)
HARMONY = _named(
    "harmony",
    rf"(?:<\|start\|>)?(?:assistant)?(?:<\|channel\|>)?(?:commentary|analysis|final)?\s+to=(?:functions\.)(?P<name>{_NAME})"
    r"(?:<\|channel\|>(?:commentary|analysis))?\s*(?:<\|constrain\|>)?\s*(?:json)?\s*<\|message\|>",
    "<|call|>",
    prepare=re.compile(
        r"(?P<kept>to=functions\.\S+?<\|channel\|>\w+[^<]*(?:<\|constrain\|>\w*)?<\|message\|>)"
        r"|\A(?!<\|channel\|>).*?<\|end\|>(?=<\|start\|>assistant<\|channel\|>commentary\s+to=)"  # without its tag
        r"|<\|channel\|>analysis<\|message\|>.*?(?:<\|end\|>|\Z)|<\|channel\|>(?:final|commentary)<\|message\|>"
        r"|<\|end\|>|<\|start\|>assistant(?=<\|channel\|>(?:final|analysis|commentary<))",
        re.DOTALL,
    ),
)
SOLAR = _named(
    "Solar",
    rf"(?:<\|tool_calls\|>)?\s*<\|tool_call:begin\|>(?P<id>[^<]*)<\|tool_call:name\|>(?P<name>{_NAME})<\|tool_call:args\|>",
    "<|tool_call:end|>",
)
