"""Scorers of tool calls: the right tool, its arguments, their order, and what must not be called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workbench.datasets import Case
from workbench.prompting.tools import Tool, ToolCall
from workbench.scoring.factory import make_scorers
from workbench.scoring.scorer import Score, ScoredSample, ScoringInput
from workbench.scoring.scorer_set import ScorerSet
from workbench.scoring.tool_trace import ToolTrace

WEATHER = Tool(
    "weather",
    "",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
)
TOOLS = (WEATHER, Tool("now"), Tool("delete"))


def call(name: str, **arguments: Any) -> ToolCall:
    return ToolCall(name, json.dumps(arguments))


def judge(calls: list[ToolCall], expected: list[dict[str, Any]] | None, problem: str = "", **options: Any) -> Score:
    (scorer,) = make_scorers([{"tool_calls": options}])
    variables = {} if expected is None else {"expected_calls": json.dumps(expected)}
    trace = ToolTrace(tuple(calls), 1, problem, tools=TOOLS)
    return scorer.score_input(ScoringInput("", Case(1, variables), trace=trace))


OSLO: dict[str, Any] = {"tool": "weather", "arguments": {"city": "Oslo", "days": 2}}


@pytest.mark.parametrize(
    ("options", "given", "value"),
    [
        ({}, {"city": "Oslo", "days": 2}, 1.0),
        ({}, {"city": "oslo ", "days": 2}, 1.0),
        ({"strict": True}, {"city": "oslo", "days": 2}, 0.0),
        ({}, {"city": "Oslo", "days": "2"}, 0.0),
        ({}, {"city": "Oslo", "days": 2, "unit": "C"}, 0.0),
        ({}, {"city": "Oslo"}, 0.0),
        ({"arguments": "fields"}, {"city": "Oslo"}, 0.5),
        ({"arguments": "fields"}, {"city": "Oslo", "days": 2, "unit": "C"}, 1.0),
        ({"arguments": "fields"}, {"city": "Rome", "days": 3}, 0.0),
        ({"arguments": "schema"}, {"city": "Rome"}, 1.0),
        ({"arguments": "schema"}, {"city": 3}, 0.0),
        ({"arguments": "ignore"}, {}, 1.0),
    ],
)
def test_arguments_are_compared_as_the_options_say(
    options: dict[str, Any], given: dict[str, Any], value: float
) -> None:
    found = judge([ToolCall("weather", json.dumps(given))], [OSLO], **options)
    assert found.value == value
    assert found.parts["right tool"] == 1.0
    assert found.parts["right arguments"] == float(value == 1.0)


def test_calls_are_paired_with_those_they_fit_best() -> None:
    expected = [{"tool": "weather", "arguments": {"city": city}} for city in ("Oslo", "Rome")]
    calls = [call("weather", city="Rome"), call("weather", city="Oslo")]
    assert judge(calls, expected).value == 1.0
    assert judge(calls, expected, order="strict").value == 0.0


def test_the_order_of_different_tools_counts_where_it_is_asked_for() -> None:
    expected = [{"tool": "now"}, {"tool": "weather"}]
    calls = [call("weather", city="Oslo"), call("now")]
    assert judge(calls, expected).value == 1.0
    found = judge(calls, expected, order="strict")
    assert found.value == 0.0
    assert "another order" in found.explanation


def test_further_calls_count_unless_they_may_be() -> None:
    calls = [call("now"), call("weather", city="Oslo", days=2)]
    assert judge(calls, [OSLO]).value == 0.0
    assert judge(calls, [OSLO], extra=True).value == 1.0


def test_no_call_is_right_where_none_is_expected() -> None:
    assert judge([], []).value == 1.0
    assert judge([call("now")], []).value == 0.0
    assert judge([], [{"tool": "now"}]).parts == {"well formed": 1.0, "right tool": 0.0, "right arguments": 0.0}


def test_a_case_without_expectation_and_a_prompt_without_tools_are_not_judged() -> None:
    assert not judge([call("now")], None).applies
    (scorer,) = make_scorers(["tool_calls"])
    assert not scorer.score("x", Case(1, {"expected_calls": "[]"})).applies


def test_a_schema_can_be_checked_without_an_expectation() -> None:
    assert judge([call("weather", city=1)], None, arguments="schema").value == 0.0
    assert judge([call("weather", city="Oslo")], None, arguments="schema").value == 1.0
    assert "no such tool" in judge([call("other")], None, arguments="schema").explanation


def test_the_summary_tells_form_choice_and_arguments_apart() -> None:
    (scorer,) = make_scorers(["tool_calls"])
    scores = [
        judge([], [OSLO], "its JSON is broken"),
        judge([call("now")], [OSLO]),
        judge([call("weather", city="Rome", days=2)], [OSLO]),
        judge([call("weather", city="Oslo", days=2)], [OSLO]),
    ]
    samples = [ScoredSample("", None, score, case=number) for number, score in enumerate(scores)]
    assert scorer.summarize(samples) == {"well formed": 0.75, "right tool": 0.5, "right arguments": 0.25}


def test_a_conversation_counts_by_the_mean_over_its_turns() -> None:
    (scorer,) = make_scorers(["tool_calls"])
    parts = {"turn 1": 1.0, "turn 1 well formed": 1.0, "turn 2": 0.0, "turn 2 well formed": 0.0}
    assert (
        scorer.summarize([ScoredSample("", None, Score("tool_calls", 0.5, "", "", parts=parts))])["well formed"] == 0.5
    )


@pytest.mark.parametrize(("calls", "value"), [([], 1.0), (["weather"], 1.0), (["delete"], 0.0), (["unknown"], 0.0)])
def test_forbidden_and_unknown_tools_are_found(calls: list[str], value: float) -> None:
    (scorer,) = make_scorers([{"forbidden_calls": {"tools": ["delete"]}}])
    trace = ToolTrace(tuple(call(name) for name in calls), tools=TOOLS)
    assert scorer.score_input(ScoringInput("", Case(1, {}), trace=trace)).value == value


def test_calls_and_rounds_are_counted() -> None:
    trace = ToolTrace((call("now"), call("now")), 2, tools=TOOLS)
    for options, count in (({}, 2), ({"of": "rounds"}, 2)):
        (scorer,) = make_scorers([{"call_count": options}])
        assert scorer.score_input(ScoringInput("", Case(1, {}), trace=trace)).value == count
        assert scorer.lower_is_better


def test_a_scorer_set_hands_the_trace_on() -> None:
    scorers = ScorerSet(["tool_calls", "forbidden_calls"], Path())
    try:
        trace = ToolTrace((call("now"),), tools=TOOLS)
        found = scorers.score("x", Case(1, {"expected_calls": '[{"tool": "now"}]'}), trace=trace).result()
        assert [score.value for score in found] == [1.0, 1.0]
    finally:
        scorers.close()
