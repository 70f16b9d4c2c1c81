"""Calls that are made of control tokens: spelled out where the prompt has tools, and only there."""

from __future__ import annotations

import pytest

from tests.inference.test_reasoning import ANALYSIS, HARMONY, Pieces
from workbench.inference.prompt_encoder import PromptEncoder
from workbench.inference.scheduling.sequences import SequenceQueue, SequenceState
from workbench.inference.types import Chunk, Completion, GenerateRequest, Sampling, fold
from workbench.prompting.chat_template import CHATML
from workbench.prompting.prompt import Message
from workbench.prompting.tool_formats.named_calls import HARMONY as FORM
from workbench.prompting.tools import Tool

WEATHER = Tool("weather", "", {"type": "object", "properties": {"city": {"type": "string"}}})
CALL = '<|channel|>commentary to=functions.weather<|message|>{"city": "Oslo"}'


def write(source: str, written: str, tools: tuple[Tool, ...]) -> Completion:
    """What comes of a model that writes these tokens, the last of which ends its answer."""
    vocabulary = Pieces("<|return|>")
    request = GenerateRequest(1, (Message("user", "Hm?"),), Sampling(max_tokens=999), tools=tools)
    rows = SequenceQueue(vocabulary, 9999, lambda: 0.0, lambda row, failed: rows.running.clear())
    row = SequenceState(PromptEncoder(vocabulary, source).begin_answer(request, 0.0))
    rows.running.append(row)
    events = []
    for token in vocabulary.tokenize(f"{written}<|return|>", special=True):
        row.advance(len(row.pending))
        events += rows.write(row, token)
    return fold([event for event in events if isinstance(event, Chunk)])


def test_control_tokens_of_a_call_are_spelled_out_with_tools() -> None:
    assert write(CHATML, f"Yes {CALL}", (WEATHER,)).text == f"Yes {CALL}"


def test_control_tokens_stay_hidden_without_tools() -> None:
    assert "<|" not in write(CHATML, f"Yes {CALL}", ()).text


@pytest.mark.parametrize("before", ["", ANALYSIS])
def test_a_call_on_the_commentary_channel_is_read(before: str) -> None:
    done = write(HARMONY, f"{before}{CALL}", (WEATHER,))
    (call,) = FORM.parse(done.text, (WEATHER,)).calls
    assert (call.name, call.values) == ("weather", {"city": "Oslo"})
    assert FORM.parse(done.text, (WEATHER,)).content == ""
