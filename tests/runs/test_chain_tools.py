"""Steps of a chain that offer tools: their calls are answered, noted, cached, scored."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from tests.runs.evaluating import Desk, bench, carry_out
from workbench.datasets import Case
from workbench.datasets.turns import ToolResult
from workbench.inference.types import Completion
from workbench.prompting.prompt import Prompt, PromptStep
from workbench.prompting.steps import list_steps
from workbench.prompting.tools import Tool, ToolCall, write_call
from workbench.runs.bench import Variant
from workbench.runs.cell import Cell
from workbench.runs.chain import StepCall, resolve_chain
from workbench.runs.chain_client import AnswerMemory, ask_chain, list_sent, make_step_spec, run_calls
from workbench.runs.chain_outcome import StepAnswer
from workbench.runs.cost import Price
from workbench.runs.generation import list_requests
from workbench.runs.provenance import Provenance
from workbench.runs.rerun import rerun_cell
from workbench.runs.step_traces import collect_traces
from workbench.runs.tool_setup import ToolFile, ToolSetup
from workbench.runs.view import RunView
from workbench.store.cell_records import StoredCompletion

WEATHER = Tool("weather", "The weather", {"type": "object", "properties": {"city": {"type": "string"}}})
OSLO = write_call(ToolCall("weather", '{"city": "Oslo"}'))
RULES = [
    {"regex": r"Sum up: (?P<said>.*)", "reply": "so {said}"},
    {"contains": "Answer again", "reply": "It is cold, -3."},
    {"contains": "-3 degrees", "reply": "It is -3 degrees."},
    {"contains": "loop", "reply": write_call(ToolCall("weather", '{"city": "loop"}'))},
    {"contains": "Error", "reply": "I do not know."},
    {"contains": "Oslo", "reply": OSLO},
    {"contains": "", "reply": "What?"},
]
SETUP = ToolSetup((ToolResult("weather", {"city": "Oslo"}, "-3 degrees"),), rounds=4)
CHAIN = Variant("chain", "chain", "desk")
CALLED = json.dumps([{"tool": "weather", "arguments": {"city": "Oslo"}}])
SCORERS = ({"tool_calls": {"step": "look"}}, {"call_count": {"step": "look"}}, "tool_calls", "contains")


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    desk.model("desk", rules=RULES)
    desk.prompts["weather"] = Prompt("weather", "user:\n{{ message }}\n", tools=(WEATHER,))
    set_chain(desk, PromptStep("look", prompt="weather"))
    yield desk
    desk.close()


def set_chain(desk: Desk, *steps: PromptStep, body: str = "Sum up: {{ steps.look.text }}") -> None:
    desk.prompts["chain"] = resolve_chain(Prompt("chain", body, steps=steps), desk.prompts.__getitem__)


def run(desk: Desk, message: str = "Oslo?", setup: ToolSetup = SETUP, **fields: object) -> Cell:
    case = Case(1, {"message": message, "expected_calls": CALLED}, "-3 degrees", 1)
    (cell,) = carry_out(desk.evaluation(bench(CHAIN, scorers=SCORERS, tools=setup, **fields), [case]))
    return cell


def test_the_calls_of_a_step_are_answered_until_its_final_answer(desk):
    cell = run(desk)
    assert cell.completion.text == "so It is -3 degrees."
    assert [(step.label, step.answers, [call.text for call in step.calls]) for step in cell.steps] == [
        ("look", False, ['weather(city="Oslo")']),
        ("look, round 2", True, []),
        ("answer", True, []),
    ]
    (result,) = cell.steps[1].before
    assert (result.role, result.content, result.call_id) == ("tool", "-3 degrees", cell.steps[0].calls[0].id)
    assert cell.steps[0].completion.text == OSLO
    assert {score.scorer: score.value for score in cell.scores} == {
        "look.tool_calls": 1,
        "look.call_count": 1,
        "tool_calls": 1,
        "contains": 1,
    }
    assert RunView(desk.store, "last").cell("chain", 1).steps == cell.steps


def test_each_round_is_cached_and_run_again_as_it_was(desk):
    first = run(desk)
    again = rerun_cell(RunView(desk.store, "last"), "chain", 1, 0, desk.pool())
    assert again.same
    second = run(desk)
    assert [step.cached for step in second.steps] == [True, True, True]
    assert second.completion.text == first.completion.text
    changed = run(desk, setup=ToolSetup((ToolResult("weather", None, "Error of the station"),)))
    assert changed.completion.text == "so I do not know."
    assert [step.cached for step in changed.steps] == [True, False, False]


def test_the_messages_of_each_round_are_rendered_again_from_the_record(desk):
    cell = run(desk)
    case = Case(1, {"message": "Oslo?"})
    sent = list_sent(Provenance.decode(RunView(desk.store, "last").cell("chain", 1).provenance).spec(case), cell.steps)
    assert [label for label, _ in sent] == ["look", "look, round 2", "answer"]
    assert [message.role for message in sent[1][1]] == ["user", "assistant", "tool"]


def test_a_loop_of_calls_ends_and_later_steps_see_the_calls(desk):
    set_chain(
        desk, PromptStep("look", prompt="weather"), body="Sum up: {{ steps.look.calls | map(attribute='name') | list }}"
    )
    cell = run(desk, "loop", ToolSetup((ToolResult("weather", None, "loop"),), rounds=3))
    assert [step.label for step in cell.steps] == ["look", "look, round 2", "look, round 3", "answer"]
    assert cell.steps[2].note == "the rounds are used up: its calls are not answered"
    assert cell.completion.text == 'so ["weather", "weather", "weather"]'
    assert next(score.value for score in cell.scores if score.scorer == "look.tool_calls") == 0


def test_without_any_result_a_call_ends_the_step(desk):
    cell = run(desk, setup=ToolSetup())
    assert [step.label for step in cell.steps] == ["look", "answer"]
    assert cell.steps[0].content == ""
    assert next(score.value for score in cell.scores if score.scorer == "look.tool_calls") == 1


def test_an_answer_that_is_not_accepted_is_asked_for_again_behind_its_rounds(desk):
    set_chain(desk, PromptStep("look", prompt="weather", check="'cold' in answer.text", retries=1))
    cell = run(desk)
    assert [step.label for step in cell.steps] == ["look", "look, round 2", "look, attempt 2", "answer"]
    assert cell.completion.text == "so It is cold, -3."
    roles = [one.role for one in list_sent(_spec(desk), cell.steps)[2][1]]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]


def test_the_calls_of_answers_that_were_voted_down_are_in_no_score(desk):
    set_chain(desk, PromptStep("look", prompt="weather", samples=3, sampling={"temperature": 1.0, "seed": 1}))
    cell = run(desk)
    assert len(cell.steps) == 7
    assert next(score.value for score in cell.scores if score.scorer == "look.call_count") == 1
    assert [step.note for step in cell.steps if step.sample and step.round == 2] == [
        "3 of 3 agree",
        "voted down",
        "voted down",
    ]


def test_the_plan_counts_the_rounds(desk):
    case = Case(1, {"message": "Oslo?"}, "", 1)
    prices = {"desk": Price(output=1.0)}

    def plan(setup: ToolSetup) -> float:
        return desk.evaluation(bench(CHAIN, tools=setup, prices=prices), [case]).plan().models[0].completion_tokens

    assert plan(SETUP) == 5 / 2 * plan(ToolSetup())  # four rounds of the first step, one of the second


def test_constrained_calls_hold_only_steps_with_tools(desk):
    spec = _spec(desk, Variant("chain", "chain", "desk", constrained_calls=True))
    assert spec.constrained_calls and spec.sampling.json_schema is None
    origin = Provenance.decode(RunView(desk.store, "last").cell("chain", 1).provenance)
    look, answer = list_steps(spec.prompt)
    for step, held in ((look, True), (answer, False)):
        call = StepCall(step.name, step.content, spec.case)
        asked = make_step_spec(spec, call)
        assert (asked.sampling.json_schema is not None, asked.constrained_calls) == (held, held)
        assert origin.of_step(call).spec(spec.case).sampling == asked.sampling


def test_a_pane_asks_only_what_follows_a_change(desk):
    memory, pool = AnswerMemory(), desk.pool()
    spec = _spec(desk)
    first = asyncio.run(ask_chain(pool, spec, 0, memory=memory))
    assert [step.cached for step in first.steps] == [False, False, False]
    second = asyncio.run(ask_chain(pool, spec, 0, memory=memory))
    assert [step.cached for step in second.steps] == [True, True, True]


def test_the_functions_of_a_trusted_file_answer_a_step(desk, monkeypatch):
    """The file itself is tested elsewhere: here, that a step's calls come to it, are counted and rendered again."""
    asked: list[ToolCall] = []

    async def live(call: ToolCall) -> str | None:
        asked.append(call)
        return f"-3 degrees, said {len(asked)}"

    step = PromptStep("look", prompt="weather", samples=2, sampling={"temperature": 1.0, "seed": 1})
    set_chain(desk, step)
    spec = replace(_spec(desk), tool_setup=ToolSetup(python=ToolFile("tools.py")))

    async def answer(call: StepCall) -> StepAnswer:
        return StepAnswer(StoredCompletion(Completion("-3" if call.round == 2 else OSLO, stop_reason="eos")), "desk")

    outcome = asyncio.run(run_calls(spec, answer, live=live))
    assert [(made.label, made.live) for made in outcome.steps][:4] == [
        ("look, sample 1", 0),
        ("look, sample 1, round 2", 1),
        ("look, sample 2", 0),
        ("look, sample 2, round 2", 1),
    ]
    assert collect_traces(spec.prompt, outcome.steps)["look"].live == 1
    results = [messages[-1].content for _, messages in list_sent(spec, outcome.steps) if messages[-1].role == "tool"]
    assert results == ["-3 degrees, said 1", "-3 degrees, said 2"]


def _spec(desk: Desk, variant: Variant = CHAIN):
    case = Case(1, {"message": "Oslo?"}, "-3 degrees", 1)
    carry_out(desk.evaluation(bench(variant, tools=SETUP), [case]))
    return Provenance.decode(RunView(desk.store, "last").cell("chain", 1).provenance).spec(case)


def test_what_a_step_shows_a_model_has_its_tools(desk):
    assert [(one.step, one.request.tools) for one in list_requests(_spec(desk))] == [
        ("look", (WEATHER,)),
        ("answer", ()),
    ]
