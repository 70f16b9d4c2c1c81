"""Chooses the form of tool calls that a chat template writes, and so its model."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.errors import TemplateError
from workbench.prompting.chat_repairs import Repair, make_turns
from workbench.prompting.chat_template import ChatTemplate
from workbench.prompting.prompt import Message
from workbench.prompting.tool_formats.bare_calls import LFM, LLAMA
from workbench.prompting.tool_formats.json_calls import (
    APERTUS,
    COMMAND_R7B,
    COMMAND_R_PLUS,
    FIREFUNCTION,
    GIGACHAT,
    GRANITE,
    HERMES,
    NEMOTRON,
    PHI,
    TOOL_CALLS_TAG,
)
from workbench.prompting.tool_formats.named_calls import (
    DEEPSEEK,
    FUNCTIONARY_31,
    FUNCTIONARY_32,
    HARMONY,
    KIMI,
    MISTRAL_ANY,
    SOLAR,
)
from workbench.prompting.tool_formats.protocol import ToolFormat
from workbench.prompting.tool_formats.tagged_calls import (
    DSML,
    GEMMA,
    GLM,
    HUNYUAN,
    KIMI_K3,
    MINICPM,
    MINIMAX,
    MINIMAX_3,
    MUSE,
    QWEN_CODER,
)
from workbench.prompting.tools import Tool, ToolCall

FORMATS: tuple[ToolFormat, ...] = (
    QWEN_CODER, GLM, HERMES, TOOL_CALLS_TAG, NEMOTRON, GRANITE, PHI, MISTRAL_ANY, COMMAND_R7B, COMMAND_R_PLUS, APERTUS,
    FIREFUNCTION, GIGACHAT, KIMI, KIMI_K3, DEEPSEEK, DSML, FUNCTIONARY_31, FUNCTIONARY_32, HARMONY, SOLAR, MINIMAX,
    MINIMAX_3, MUSE, HUNYUAN, MINICPM, GEMMA, LFM, LLAMA,
)  # fmt: skip
"""The most particular ones first: a template's own call is read by the first that can."""

_MARKS: tuple[tuple[str, ToolFormat], ...] = (
    ("<|START_ACTION|>", COMMAND_R7B), ("Action:", COMMAND_R_PLUS), ("[TOOL_CALLS]", MISTRAL_ANY),
    ("functools[", FIREFUNCTION), (">>>all", FUNCTIONARY_32), ("<function=", QWEN_CODER), ("<arg_key>", GLM),
    ("<｜tool▁call▁begin｜>", DEEPSEEK), ("DSML", DSML), ("<|tool_call_begin|>", KIMI), ("<|tool_call_start|>", LFM),
    ("<|python_tag|>", LLAMA), ("<|tool_call>", GEMMA), ("<|tool_call|>", GRANITE), ("<tool_calls>", TOOL_CALLS_TAG),
    ("<|function_call|>", GIGACHAT), ("<|tool_list_start|>", LFM), ("ipython", LLAMA),
)  # fmt: skip
"""By what a template says of calls, where it writes none that can be read."""

_TOOL = Tool("find_city", "", {"type": "object", "properties": {"place": {"type": "string"}}})
_CALL = ToolCall("find_city", '{"place": "north"}', "call00001")
_ASKED = Message("user", "?")


def choose_format(template: ChatTemplate) -> ToolFormat:
    """The form in which a template writes a call of the assistant; that of Hermes where it writes none."""
    for text in _render_call(template):
        for form in FORMATS:
            found = form.parse(text, (_TOOL,))
            if [(call.name, call.values) for call in found.calls] == [(_CALL.name, _CALL.values)]:
                return form
    return next((form for mark, form in _MARKS if mark in template.source), HERMES)


def _render_call(template: ChatTemplate) -> Sequence[str]:
    """What a template writes of an assistant's call, in the ways in which it may want arguments."""
    found = []
    for repair in (Repair(), Repair(calls="texts"), Repair(typed=True)):
        called = make_turns([_ASKED, Message("assistant", "", (_CALL,))], repair)
        try:
            asked = template.fill(called[:1], True)
            whole = template.fill(called, False)
        except TemplateError:
            continue
        same = next((at for at, pair in enumerate(zip(asked, whole, strict=False)) if pair[0] != pair[1]), len(asked))
        if _CALL.name in whole[same:]:
            found.append(whole[same:] if same == len(asked) else whole[whole.rfind(_ASKED.content) + 1 :])
    return found
