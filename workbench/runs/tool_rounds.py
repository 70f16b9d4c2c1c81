"""The rounds of an answer with tools: how calls are read, how many there may be, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from workbench.prompting.prompt import Message
from workbench.prompting.tool_formats.protocol import ParsedAnswer, ToolFormat
from workbench.prompting.tools import Tool, ToolCall
from workbench.runs.tool_file import AnswerTool, refuse_call
from workbench.runs.tool_results import PreparedResults, write_result
from workbench.runs.tool_setup import ANSWER, NO_SETUP, ToolSetup

LIMITED = "the rounds are used up: its calls are not answered"
MOST_CALLS = 32
"""of one answer; a model that repeats itself may write any number"""


@dataclass(frozen=True, slots=True)
class ToolRules:
    """form: in which the model writes calls. constrained: they are held to their schema. setup: of the bench. live: the
    functions of its Python file."""

    form: ToolFormat
    setup: ToolSetup = NO_SETUP
    constrained: bool = False
    live: AnswerTool = refuse_call

    @property
    def answers(self) -> bool:
        """Whether the bench has answers to calls, whatever the case has."""
        return bool(self.setup.results) or self.setup.python is not None


async def answer_call(call: ToolCall, results: PreparedResults, rules: ToolRules) -> tuple[Message, bool]:
    """What a call gets: the prepared result, else what the Python file answers, else the word that nothing does; and
    whether the file did. Raises WorkbenchError where the file cannot answer any call."""
    prepared = results.find(call)
    if prepared is not None:
        return write_result(call, prepared), False
    text = await rules.live(call) if rules.setup.python and results.offers(call) else None
    return (results.refuse(call), False) if text is None else (write_result(call, text), True)


def parse_answer(text: str, tools: Sequence[Tool], rules: ToolRules) -> ParsedAnswer:
    """What an answer says and calls. tools: that were offered; without any, all is text."""
    if not tools:
        return ParsedAnswer(text)
    parsed = rules.form.parse(text, tools)
    if parsed.calls:
        return parsed._replace(calls=parsed.calls[:MOST_CALLS])
    return parsed._replace(content=_read_answer(text) if rules.constrained else text)


def name_calls(calls: Sequence[ToolCall], begun: int) -> tuple[ToolCall, ...]:
    """The calls with an id each, by which templates and servers tell results apart: of nine characters, as Mistral's
    are. begun: how many messages there were before."""
    return tuple(
        call if call.id else msgspec.structs.replace(call, id=f"call{begun:03d}{at:02d}")
        for at, call in enumerate(calls, start=1)
    )


def _read_answer(text: str) -> str:
    """What is said in an answer that is held to JSON; the text itself where that was cut off."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
    answer = found.get(ANSWER) if isinstance(found, dict) else None
    return answer if isinstance(answer, str) else text
