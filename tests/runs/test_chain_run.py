"""Chains in a run: the matrix, the cache, the store, kill and resume, their figures."""

from __future__ import annotations

import json

import msgspec
import pytest

from tests.runs.evaluating import CASES, Desk, bench, carry_out
from workbench.analysis.summarizing import compute_summary
from workbench.prompting.prompt import Prompt, PromptStep
from workbench.reports.html import render_html
from workbench.reports.json import render_json
from workbench.reports.markdown import render_markdown
from workbench.runs.bench import Variant
from workbench.runs.chain import resolve_chain
from workbench.runs.chain_client import list_sent
from workbench.runs.cost import Price
from workbench.runs.provenance import Provenance
from workbench.runs.rerun import rerun_cell
from workbench.runs.run import RunOptions
from workbench.runs.view import RunView

SCRIPT = [
    {"regex": r"Extract (?P<n>\d+)", "reply": '{"n": "{n}"}'},
    {"regex": r"Label (?P<n>\d+)", "reply": "label{n}"},
]


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    for name in ("desk", "small"):
        desk.model(name, rules=SCRIPT)
    set_chain(desk, PromptStep("extract", template="Extract {{ message.split()[1] }}"))
    yield desk
    desk.close()


def set_chain(desk: Desk, *steps: PromptStep, body: str = "Label {{ steps.extract.json.n }}") -> None:
    desk.prompts["chain"] = resolve_chain(Prompt("chain", body, steps=steps), desk.prompts.__getitem__)


CHAIN = Variant("chain", "chain", "desk")


def test_a_chain_is_one_variant_whose_cells_keep_every_call(desk):
    cells = carry_out(desk.evaluation(bench(Variant("plain", "plain", "desk"), CHAIN)))
    view = RunView(desk.store, "last")
    kept = view.cell("chain", 3)
    assert kept is not None
    assert kept.completion.text == "label3"
    assert [(step.name, step.completion.text, step.model) for step in kept.steps] == [
        ("extract", '{"n": "3"}', "desk"),
        ("answer", "label3", "desk"),
    ]
    assert kept.completion.prompt_tokens == sum(step.completion.prompt_tokens for step in kept.steps)
    assert kept.completion.output_tokens == sum(step.completion.output_tokens for step in kept.steps)
    assert all(score.value == 1 for cell in cells if cell.variant == "chain" for score in cell.scores)
    assert len(cells) == 10


def test_each_step_is_cached_so_that_only_what_follows_a_change_is_asked_again(desk):
    carry_out(desk.evaluation(bench(CHAIN)))
    set_chain(desk, *desk.prompts["chain"].steps, body="Label {{ steps.extract.json.n }} now")
    evaluation = desk.evaluation(bench(CHAIN))
    assert evaluation.plan().cached == 0
    cells = carry_out(evaluation)
    assert [[step.cached for step in cell.steps] for cell in cells] == [[True, False]] * 5
    assert all(cell.cached for cell in cells)  # its times are partly those of another day
    again = desk.evaluation(bench(CHAIN))
    assert again.plan().cached == 5
    assert all(step.cached for cell in carry_out(again) for step in cell.steps)


def test_a_step_may_have_a_model_of_its_own_with_its_price(desk):
    set_chain(desk, PromptStep("extract", template="Extract {{ message.split()[1] }}", model="small"))
    prices = {"small": Price(input=1_000_000.0), "desk": Price(output=1_000_000.0)}
    cells = carry_out(desk.evaluation(bench(CHAIN, prices=prices)))
    for cell in cells:
        first, last = cell.steps
        assert (first.model, last.model) == ("small", "desk")
        assert first.cost == first.completion.prompt_tokens
        assert last.cost == last.completion.output_tokens
        assert cell.cost == first.cost + last.cost


def test_a_model_of_a_step_that_cannot_be_found_fails_the_variant_and_no_other(desk):
    set_chain(desk, PromptStep("extract", template="Extract", model="nowhere"), body="x")
    cells = carry_out(desk.evaluation(bench(Variant("plain", "plain", "desk"), CHAIN)))
    errors = {cell.variant: cell.error for cell in cells if cell.error}
    assert set(errors) == {"chain"} and "no model nowhere" in errors["chain"]


def test_behind_a_failed_step_nothing_is_run_and_no_score_is_given(desk):
    desk.model("desk", rules=[{"regex": r"Extract 2", "reply": "two"}, *SCRIPT])
    scorers = ("exact_match", {"json_valid": {"step": "extract"}}, {"contains": {"step": "answer"}})
    cells = {cell.case: cell for cell in carry_out(desk.evaluation(bench(CHAIN, scorers=scorers)))}
    failed = cells[2]
    assert failed.error.startswith("Step answer: it uses the JSON of the step extract, whose answer is none: 'two'")
    assert [(score.scorer, score.applies, score.value) for score in failed.scores] == [
        ("extract.json_valid", True, 0.0),
        ("answer.contains", False, 0.0),
    ]
    assert [score.scorer for score in cells[1].scores] == ["exact_match", "extract.json_valid", "answer.contains"]
    view = RunView(desk.store, "last")
    kept = view.cell("chain", 2)
    assert kept is not None and kept.steps == failed.steps
    assert view.run.failed == 1


def test_a_score_of_a_step_may_be_by_another_column(desk):
    cases = [msgspec.structs.replace(case, variables={**case.variables, "gold": '{"n": "1"}'}) for case in CASES]
    scorers = ({"exact_match": {"step": "extract", "expected_column": "gold"}}, "exact_match")
    cells = carry_out(desk.evaluation(bench(CHAIN, Variant("plain", "plain", "desk"), scorers=scorers), cases))
    first = {cell.case: cell.scores[0] for cell in cells if cell.variant == "chain"}
    assert [first[number].value for number in (1, 2)] == [1.0, 0.0]
    other = next(cell for cell in cells if cell.variant == "plain")
    assert not other.scores[0].applies
    assert other.scores[0].explanation == "The step extract is none of this variant."


def test_a_run_of_chains_that_was_stopped_goes_on_with_the_chain_as_it_was(desk):
    evaluation = desk.evaluation(bench(CHAIN), options=RunOptions(concurrency=1))
    for event in evaluation.events():
        if type(event).__name__ == "CellFinished":
            evaluation.cancel()
    left = 5 - RunView(desk.store, "last").run.done
    assert left > 0
    set_chain(desk, PromptStep("extract", template="changed"), body="changed")
    assert len(carry_out(desk.resume())) == left
    view = RunView(desk.store, "last")
    assert view.run.failed == 0
    assert [cell.completion.text for cell in view.cells()] == [f"label{n}" for n in range(1, 6)]


def test_a_cell_of_a_chain_is_run_again_as_it_was(desk):
    carry_out(desk.evaluation(bench(CHAIN)))
    again = rerun_cell(RunView(desk.store, "last"), "chain", 4, 0, desk.pool())
    assert again.same
    assert [step.completion.text for step in again.steps] == ['{"n": "4"}', "label4"]


def test_the_plan_names_the_models_of_steps_and_counts_their_calls(desk):
    set_chain(
        desk,
        PromptStep("extract", template="Extract {{ message.split()[1] }}", model="small", check="json", retries=2),
    )
    plain = desk.evaluation(bench(Variant("plain", "plain", "desk"))).plan()
    plan = desk.evaluation(bench(CHAIN)).plan()
    assert plan.step_models == ("small",)
    assert plan.models[0].completion_tokens == 4 * plain.models[0].completion_tokens
    assert json.dumps(msgspec.to_builtins(plan))


def test_an_answer_of_a_chain_is_not_shared_with_what_is_asked_otherwise(desk):
    """The first step asks what a plain prompt asks: that answer is known; the chain's own is not."""
    desk.prompts["first"] = Prompt("first", "Extract {{ message.split()[1] }}")
    carry_out(desk.evaluation(bench(Variant("first", "first", "desk"))))
    cells = carry_out(desk.evaluation(bench(CHAIN)))
    assert [[step.cached for step in cell.steps] for cell in cells] == [[True, False]] * 5


def test_the_summary_says_what_each_step_takes_and_how_often_it_gave_nothing(desk):
    desk.model("desk", rules=[{"regex": r"Extract 2", "reply": "two"}, *SCRIPT])
    steps = (
        PromptStep("extract", template="Extract {{ message.split()[1] }}"),
        PromptStep("never", template="Label 9", when="steps.extract.json.n == '9'"),
    )
    set_chain(desk, *steps)
    scorers = ("exact_match", {"json_valid": {"step": "extract"}})
    carry_out(desk.evaluation(bench(Variant("plain", "plain", "desk"), CHAIN, scorers=scorers)))
    summary = compute_summary(RunView(desk.store, "last"))
    plain, chain = summary.variants
    assert plain.steps == ()
    assert plain.unscored == chain.unscored == {}
    assert not [note for note in summary.notes if "extract" in note]
    found = {step.name: (step.calls, step.skipped, step.failed, step.not_run) for step in chain.steps}
    assert found == {"extract": (5, 0, 0, 0), "never": (0, 4, 1, 0), "answer": (4, 0, 0, 1)}
    assert chain.failed == 1
    assert chain.scores["exact_match"].n == 4  # a step that failed is no wrong answer
    assert chain.scores["extract.json_valid"].value == pytest.approx(0.8)
    told = json.loads(render_json(summary))["variants"][1]["steps"]
    assert [step["name"] for step in told] == ["extract", "never", "answer"]
    assert "## Steps" in render_markdown(summary)
    assert "1 not run" in render_html(RunView(desk.store, "last"), summary)


def test_the_messages_of_each_call_are_rendered_again_from_its_record(desk):
    steps = (PromptStep("extract", template="Extract {{ message.split()[1] }}", check="json", retries=1),)
    desk.model(
        "desk",
        rules=[{"regex": "Answer again", "reply": '{"n": "2"}'}, {"regex": "Extract 2", "reply": "two"}, *SCRIPT],
    )
    set_chain(desk, *steps)
    carry_out(desk.evaluation(bench(CHAIN)))
    cell = RunView(desk.store, "last").cell("chain", 2)
    assert cell is not None
    sent = list_sent(Provenance.decode(cell.provenance).spec(CASES[1]), cell.steps)
    assert [label for label, _ in sent] == ["extract", "extract, attempt 2", "answer"]
    assert [message.content for message in sent[1][1]] == ["Extract 2", "two", "it is not JSON: 'two' Answer again."]
    assert sent[2][1][0].content == "Label 2"
