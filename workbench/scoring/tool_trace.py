"""ToolTrace: the tool calls that led to an answer, as scorers see them."""

from __future__ import annotations

import msgspec

from workbench.prompting.tools import Tool, ToolCall


class ToolTrace(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """calls: in their order, over all rounds. rounds: how often the model was asked. problem: why a text that begins
    like a call is none; "" where every call was well formed. limited: the rounds were used up while it still called.
    unanswered: calls for which no result was prepared. tools: those that were offered.
    live: calls that the bench's Python file answered."""

    calls: tuple[ToolCall, ...] = ()
    rounds: int = 1
    problem: str = ""
    limited: bool = False
    unanswered: int = 0
    tools: tuple[Tool, ...] = ()
    live: int = 0
