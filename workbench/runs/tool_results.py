"""PreparedResults: what tools answer to the calls of one case, from the case and the bench."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from workbench.datasets.turns import ToolResult
from workbench.prompting.prompt import Message
from workbench.prompting.tools import Tool, ToolCall

UNPREPARED = "Error: no result is prepared for this call."
"""What the model gets for a call that neither case nor bench answers."""


class PreparedResults:
    """Of several results for the same call, each is given once, in their order; the last one again and again.

    sources: of a turn, a case, a bench: the first that has one for a call answers it. unanswered: calls without one.
    """

    def __init__(self, sources: Sequence[Sequence[ToolResult]], tools: Sequence[Tool]) -> None:
        self._sources = [tuple(one) for one in sources if one]
        self._names = {tool.name for tool in tools}
        self._given: Counter[tuple[int, bool, str, str]] = Counter()
        self.unanswered = 0

    @property
    def any(self) -> bool:
        """Whether calls are answered at all."""
        return bool(self._sources)

    def answer(self, call: ToolCall) -> Message:
        """The message that a call gets."""
        found = self.find(call)
        return self.refuse(call) if found is None else write_result(call, found)

    def refuse(self, call: ToolCall) -> Message:
        """The message of a call that nothing answers."""
        self.unanswered += 1
        return write_result(call, UNPREPARED if self.offers(call) else _unknown(call.name))

    def offers(self, call: ToolCall) -> bool:
        """Whether a call is of a tool that the prompt has."""
        return call.name in self._names

    def find(self, call: ToolCall) -> str | None:
        """The result that is prepared for a call."""
        if not self.offers(call):
            return None
        for at, source in enumerate(self._sources):
            same = [one for one in source if one.tool == call.name]
            particular = [one for one in same if one.arguments is not None and _fits(one, call)]
            found = particular or [one for one in same if one.arguments is None]
            if found:
                key = (at, bool(particular), call.name, call.arguments if particular else "")
                self._given[key] += 1
                return found[min(self._given[key], len(found)) - 1].text
        return None


def write_result(call: ToolCall, text: str) -> Message:
    """The message that a call gets with this result: data, never template or markup."""
    return Message("tool", text, name=call.name, call_id=call.id)


def is_unprepared(message: Message) -> bool:
    """Whether a message is what a call gets that nothing answers."""
    return message.content in (UNPREPARED, _unknown(message.name))


def _unknown(name: str) -> str:
    return f"Error: there is no tool named {name}."


def _fits(result: ToolResult, call: ToolCall) -> bool:
    given = call.values
    return all(name in given and given[name] == value for name, value in (result.arguments or {}).items())
