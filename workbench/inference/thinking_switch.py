"""How a model is told to think or not to: by the switches of its chat template, else by its reasoning tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from jinja2 import meta

from workbench.errors import EngineError
from workbench.inference.reasoning import AnswerFormat
from workbench.inference.types import Sampling, Thinking
from workbench.prompting.chat_environment import ChatEnvironment
from workbench.prompting.prompt import Message
from workbench.prompting.tools import Tool

SWITCHES = ("enable_thinking", "thinking")
"""Variables by which templates take a truth value: Qwen 3, GLM and SmolLM; Granite and DeepSeek V3."""

EFFORT = "reasoning_effort"
"""gpt-oss and models after it."""

BUDGET = "thinking_budget"
"""Seed-OSS; 0 is off."""


class ThinkingPlan(NamedTuple):
    """variables: of the chat template. by_tags: what the reasoning tags have to say, as the template has no switch."""

    variables: Mapping[str, Any] = MappingProxyType({})
    by_tags: Thinking = "default"

    def suffix(self, prompt: str, form: AnswerFormat) -> str:
        """What follows a prompt that the template has written: the beginning of reasoning, or an empty block.

        Raises EngineError where a model is to think that shows no reasoning.
        """
        opened = next((pair for pair in form.tags if prompt.rstrip().endswith(pair.opening)), None)
        if self.by_tags == "default" or (self.by_tags == "off" and not opened and not form.reasoning_end):
            return ""
        if self.by_tags == "on":
            if not opened and not form.reasoning_end:
                raise _refuse("thinking", "on", "its chat template has no switch for it and shows no reasoning")
            return "" if opened else form.tags[0].opening
        opening, closing = opened or form.tags[0]
        end = form.reasoning_end if closing in form.reasoning_end else f"\n{closing}\n\n"
        return ("" if opened else opening) + ("\n" if end.startswith("\n") and not prompt.endswith("\n") else "") + end


def plan_thinking(sampling: Sampling, names: frozenset[str]) -> ThinkingPlan:
    """names: variables that the chat template asks for. Raises EngineError that names a setting it cannot be told."""
    variables: dict[str, Any] = {}
    if sampling.reasoning_effort:
        if EFFORT not in names:
            raise _refuse(EFFORT, sampling.reasoning_effort, f"its chat template has no {EFFORT}")
        variables[EFFORT] = sampling.reasoning_effort
    if sampling.thinking_budget >= 0 and BUDGET in names:
        variables[BUDGET] = sampling.thinking_budget
    if sampling.thinking == "default":
        return ThinkingPlan(variables)
    if switch := next((name for name in SWITCHES if name in names), None):
        return ThinkingPlan({**variables, switch: sampling.thinking == "on"})
    if BUDGET in names and sampling.thinking == "off":
        return ThinkingPlan({**variables, BUDGET: 0})
    return ThinkingPlan(variables, sampling.thinking)


def check_completion(sampling: Sampling, tools: Sequence[Tool] = ()) -> None:
    """Raise EngineError for what a text without a chat template cannot say."""
    if tools:
        raise EngineError(
            f"The prompt has tools ({', '.join(tool.name for tool in tools[:3])}), and in completion mode there is no"
            " chat template that tells the model of them.",
            "Set `mode: chat` in the prompt, or remove `tools`.",
        )
    for name in ("thinking", EFFORT):
        if (value := getattr(sampling, name)) not in ("default", ""):
            raise _refuse(name, value, "in completion mode there is no chat template")


def find_names(source: str) -> frozenset[str]:
    """The variables that a chat template asks for; none of a broken one."""
    try:
        return frozenset(meta.find_undeclared_variables(ChatEnvironment().parse(source)))
    except Exception:  # noqa: BLE001  what is wrong with it is said when it is rendered
        return frozenset()


def drop_past_thinking(messages: Sequence[Message], form: AnswerFormat) -> tuple[tuple[Message, ...], int]:
    """The messages without the reasoning that earlier answers begin with, as most chat templates leave it out; and in
    how many there was one. A last answer, which is to be continued, keeps it."""
    kept = [
        message
        if message.role != "assistant"
        else msgspec.structs.replace(message, content=_cut_thinking(message.content, form))
        for message in messages[:-1]
    ]
    changed = sum(new.content != old.content for new, old in zip(kept, messages, strict=False))
    return (*kept, *messages[-1:]), changed


def _cut_thinking(text: str, form: AnswerFormat) -> str:
    start = text.lstrip()
    for opening, closing in form.tags:
        if start.startswith(opening) and closing in start:
            return start.partition(closing)[2].lstrip()
    return text


def _refuse(name: str, value: str, why: str) -> EngineError:
    return EngineError(f"{name} is {value}, which this model does not take: {why}.", f"Leave {name} out.")
