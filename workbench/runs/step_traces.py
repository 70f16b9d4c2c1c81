"""The tool calls in a chain's steps, as scorers see them."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.prompting.prompt import Prompt
from workbench.prompting.steps import list_steps
from workbench.prompting.tools import Tool
from workbench.runs.cell_step import CellStep
from workbench.runs.tool_results import is_unprepared
from workbench.scoring.tool_trace import ToolTrace

CHAIN = ""
"""the name of the trace of all steps together"""


def collect_traces(prompt: Prompt, steps: Sequence[CellStep]) -> dict[str, ToolTrace]:
    """The traces of the steps of a chain that offer tools and have an answer, by name, and of all of them under CHAIN.

    Calls of answers that were voted down or not accepted are in none.
    """
    offered = {step.name: step.content.tools for step in list_steps(prompt) if step.content and step.content.tools}
    taken = {_key(step) for step in steps if step.answers and step.kind == "call" and step.state == "done"}
    found: dict[str, list[CellStep]] = {}
    for step in steps:
        if step.name in offered and step.kind == "call" and step.state == "done" and _key(step) in taken:
            found.setdefault(step.name, []).append(step)
    traces = {name: _trace(own, offered[name]) for name, own in found.items()}
    if traces:
        tools = {tool.name: tool for name in found for tool in offered[name]}
        traces[CHAIN] = _trace([step for own in found.values() for step in own], tuple(tools.values()))
    return traces


def _key(step: CellStep) -> tuple[str, int, int, int]:
    """What the rounds of one answer have in common."""
    return step.name, step.index, step.sample, step.attempt


def _trace(made: Sequence[CellStep], tools: tuple[Tool, ...]) -> ToolTrace:
    return ToolTrace(
        tuple(call for step in made for call in step.calls),
        len(made),
        next((step.problem for step in made if step.problem), ""),
        any(step.calls and step.answers and step.round for step in made),
        sum(is_unprepared(message) for step in made for message in step.before),
        tools,
        sum(step.live for step in made),
    )
