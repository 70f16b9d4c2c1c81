"""Tools in requests to servers, and the calls that come back in pieces."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.inference.remote.test_server_dialects import ask, body, refusals
from workbench.inference.remote.dialects.protocol import StreamedAnswer
from workbench.inference.remote.dialects.registry import find_dialect, server_dialects
from workbench.inference.remote.tool_calls import MOST_CALLS, StreamedCalls
from workbench.prompting.prompt import Message
from workbench.prompting.tool_formats.json_calls import HERMES
from workbench.prompting.tools import Tool, ToolCall

WEATHER = Tool("weather", "The weather", {"type": "object", "properties": {"city": {"type": "string"}}})
TALK = (
    Message("user", "Is it cold?"),
    Message("assistant", "", (ToolCall("weather", '{"city": "Oslo"}', "call_1"),)),
    Message("tool", "-3", name="weather", call_id="call_1"),
)


@pytest.mark.parametrize("dialect", sorted(server_dialects()))
def test_tools_calls_and_results_are_sent(dialect: str) -> None:
    sent = body(dialect, ask(TALK, tools=(WEATHER,)))
    assert sent["tools"] == [WEATHER.declaration]
    call = sent["messages"][1]["tool_calls"][0]["function"]
    if dialect == "ollama":
        assert call == {"name": "weather", "arguments": {"city": "Oslo"}}
        assert sent["messages"][2]["tool_name"] == "weather"
    else:
        assert call == {"name": "weather", "arguments": '{"city": "Oslo"}'}
        assert sent["messages"][2]["tool_call_id"] == "call_1"


@pytest.mark.parametrize("dialect", sorted(server_dialects()))
def test_without_tools_nothing_is_sent_of_them(dialect: str) -> None:
    sent = body(dialect, ask())
    assert "tools" not in sent
    assert all(set(message) == {"role", "content"} for message in sent["messages"])


def test_completion_mode_refuses_tools() -> None:
    assert "tools" in refusals("openai", ask(TALK[:1], tools=(WEATHER,), mode="completion"))


def stream(dialect: str, events: list[dict[str, Any]]) -> str:
    answer = StreamedAnswer(calls=StreamedCalls())
    for event in events:
        list(find_dialect(dialect).read(event, answer))
    assert answer.calls is not None
    assert answer.notes == []
    return answer.calls.text


def test_calls_in_pieces_are_put_together_and_read_again() -> None:
    pieces = [
        {"index": 0, "id": "call_1", "function": {"name": "weather", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"city": '}},
        {"index": 1, "id": "call_2", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}},
        {"index": 0, "function": {"arguments": '"Oslo"}'}},
    ]
    events = [{"choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]} for piece in pieces]
    text = stream("openai", [*events, {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}])
    assert [call.values for call in HERMES.parse(text, (WEATHER,)).calls] == [{"city": "Oslo"}, {"city": "Rome"}]


def test_calls_of_ollama_come_whole() -> None:
    event = {
        "message": {"content": "", "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Oslo"}}}]}
    }
    assert HERMES.parse(stream("ollama", [event]), (WEATHER,)).calls == (ToolCall("weather", '{"city": "Oslo"}'),)


def test_arguments_that_are_no_json_are_a_broken_call() -> None:
    events = [{"choices": [{"delta": {"tool_calls": [{"function": {"name": "weather", "arguments": '{"city": '}}]}}]}]
    assert "JSON is broken" in HERMES.parse(stream("openai", events), (WEATHER,)).problem


ODD = st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["index", "function", "name", "arguments", "id"]), inner), max_leaves=8)  # fmt: skip  # noqa: E501


@given(st.lists(ODD, max_size=4))
def test_no_stream_breaks_it(deltas: list[object]) -> None:
    calls = StreamedCalls()
    for delta in deltas:
        calls.add(delta)
    HERMES.parse(calls.text, (WEATHER,))


def test_a_server_cannot_fill_the_memory_with_calls() -> None:
    calls = StreamedCalls()
    calls.add([{"index": index, "function": {"name": "f"}} for index in range(5000)])
    assert len(HERMES.parse(calls.text, ()).calls) == MOST_CALLS
