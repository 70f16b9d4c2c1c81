from __future__ import annotations

import os
import re

import pytest
from evaluating import CASES, RULES, Desk, bench, carry_out

from workbench.datasets import Case
from workbench.errors import DatasetError, ScorerError, StoreBlockedError, StoreError
from workbench.inference.pool import Pool
from workbench.inference.types import Chunk, Sampling
from workbench.prompting.prompt import Example, Prompt
from workbench.runs.bench import Bench, Variant
from workbench.runs.cell import CellFinished, CellStarted, CellText
from workbench.runs.cost import Price
from workbench.runs.matrix_rows import Filter
from workbench.runs.progress import RunFinished, RunProgress, RunStarted
from workbench.runs.run import RunOptions
from workbench.runs.view import RunView
from workbench.scoring.trust import find_untrusted, trust
from workbench.store.cells import get_cell
from workbench.store.runs import find_run


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def test_every_variant_answers_every_case_and_all_of_it_is_in_the_store(desk):
    cells = carry_out(desk.evaluation(bench()))
    view = RunView(desk.store, "last")
    assert sorted((cell.variant, cell.case) for cell in cells) == [(v, n) for v in "AB" for n in range(1, 6)]
    assert {cell.completion.text for cell in cells if cell.case == 3} == {"label3"}
    assert [(score.scorer, score.value) for score in cells[0].scores] == [("exact_match", 1.0), ("contains", 1.0)]
    assert list(view.cells()) == sorted(cells, key=lambda cell: (cell.case, cell.variant))
    assert (view.run.state, view.run.done, view.run.total, view.run.failed) == ("finished", 10, 10, 0)


def test_a_run_begins_with_its_plan_and_ends_with_its_end(desk):
    events = list(desk.evaluation(bench()).events())
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunFinished)
    assert events[-1].finished
    assert isinstance(events[-2], RunProgress)
    assert (events[-2].done, events[-2].total) == (10, 10)
    started = [event.case for event in events if isinstance(event, CellStarted) and event.variant == "A"]
    assert started == [1, 2, 3, 4, 5]


def test_a_cell_is_in_the_store_when_it_is_told(desk):
    told = 0
    for event in desk.evaluation(bench()).events():
        if isinstance(event, CellFinished):
            run = find_run(desk.store, "last")
            cell = get_cell(desk.store, run.key, event.cell.case, "AB".index(event.cell.variant), 0)
            assert cell.stored.completion.text == event.cell.completion.text
            told += 1
    assert told == 10


def test_pieces_of_answers_are_told_where_they_are_wanted(desk):
    events = list(desk.evaluation(bench(), CASES[:1], RunOptions(texts=True)).events())
    assert "".join(event.text for event in events if isinstance(event, CellText) and event.variant == "A") == "label1"


def test_models_come_one_after_the_other_and_bare_variants_before_those_with_adapters(desk):
    desk.model("second")
    variants = (
        Variant("a", "plain", "desk"),
        Variant("b", "plain", "second"),
        Variant("c", "other", "desk"),
    )
    order = [cell.variant for cell in carry_out(desk.evaluation(bench(*variants), options=RunOptions(concurrency=1)))]
    assert order == ["a"] * 5 + ["c"] * 5 + ["b"] * 5
    assert RunView(desk.store, "last").variants == ("a", "b", "c")


def test_a_cell_that_cannot_run_says_so_and_stops_no_other(desk):
    desk.model("failing", rules=[{"reply": "one two three", "fail_after": 1, "failure": "It fell."}])
    desk.model("dead", load="fails")
    variants = (
        Variant("missing", "wanting", "desk"),
        Variant("no prompt", "none", "desk"),
        Variant("no model", "plain", "none"),
        Variant("fails", "plain", "failing"),
        Variant("dead", "plain", "dead"),
        Variant("well", "plain", "desk"),
    )
    cells = {cell.variant: cell for cell in carry_out(desk.evaluation(bench(*variants), CASES[:1]))}
    assert cells["well"].error == ""
    assert cells["no model"].error == "no model none"
    assert cells["no model"].hint == "look elsewhere"
    assert "nothing" in cells["missing"].error
    assert (cells["fails"].error, cells["fails"].completion.text) == ("It fell.", "one")
    assert "loading fails" in cells["dead"].error
    view = RunView(desk.store, "last")
    assert view.run.failed == 5
    assert view.cell("fails", 1).error == "It fell."
    assert view.cell("fails", 1).completion.text == "one"


def test_a_model_that_does_not_load_is_tried_once_and_fails_its_cells_only(desk):
    desk.model("dead", load="fails")
    cases = tuple(Case(number, {"message": f"message {number}"}, "x") for number in range(1, 101))
    variants = (Variant("dead", "plain", "dead"), Variant("well", "plain", "desk"))
    cells = carry_out(desk.evaluation(bench(*variants), cases, RunOptions(concurrency=2)))
    assert sum(1 for cell in cells if cell.error) == 100
    assert {cell.variant for cell in cells if cell.error} == {"dead"}


def test_known_answers_are_not_asked_again_and_are_marked(desk):
    first = carry_out(desk.evaluation(bench()))
    assert not any(cell.cached for cell in first)
    again = desk.evaluation(bench())
    assert again.plan().cached == 10
    pool = desk.pools[-1]
    second = carry_out(again)
    assert all(cell.cached for cell in second)
    assert {(cell.variant, cell.case): cell.completion.text for cell in second} == {
        (cell.variant, cell.case): cell.completion.text for cell in first
    }
    assert pool.loaded_models() == ()
    assert find_run(desk.store, "last").cached == 10
    third = carry_out(desk.evaluation(bench(), options=RunOptions(cache=False)))
    assert not any(cell.cached for cell in third)


def test_each_result_says_how_it_was_made_and_a_reproducible_one_is_asked_anew(desk):
    carry_out(desk.evaluation(bench()))
    variants = tuple(
        Variant(name, prompt, "desk", deterministic=name == "A") for name, prompt in (("A", "plain"), ("B", "other"))
    )
    cells = carry_out(desk.evaluation(bench(*variants)))
    assert {(cell.variant, cell.completion.deterministic, cell.cached) for cell in cells} == {
        ("A", True, False),
        ("B", False, True),
    }
    view = RunView(desk.store, "last")
    assert {(cell.variant, cell.completion.deterministic) for cell in view.cells()} == {("A", True), ("B", False)}
    assert all(cell.completion.deterministic for cell in carry_out(desk.evaluation(bench(*variants[:1]))))


@pytest.mark.parametrize(
    "change",
    [
        {"sampling": Sampling(stop=("x",))},
        {"sampling": Sampling(temperature=0.5)},
        {"prompt": "other"},
        {"model": "second"},
    ],
)
def test_anything_that_determines_an_answer_makes_another_question(desk, change):
    desk.model("second", parameters=5)
    carry_out(desk.evaluation(bench(Variant("A", "plain", "desk"))))
    fields = {"name": "A", "prompt": "plain", "model": "desk", **change}
    assert not any(cell.cached for cell in carry_out(desk.evaluation(bench(Variant(**fields)))))


def test_a_higher_limit_asks_again_only_for_what_was_cut_off(desk):
    rules = [{"regex": r"message [12]$", "reply": "a b c d e f"}, {"regex": "message", "reply": "a"}]
    desk.model("desk", rules=rules)

    def run(limit):
        cells = carry_out(desk.evaluation(bench(Variant("A", "plain", "desk", Sampling(max_tokens=limit)))))
        return [(cell.completion.stop_reason, cell.cached) for cell in sorted(cells, key=lambda cell: cell.case)]

    assert run(2) == [("length", False)] * 2 + [("eos", False)] * 3
    assert run(2) == [("length", True)] * 2 + [("eos", True)] * 3
    assert desk.evaluation(bench(Variant("A", "plain", "desk", Sampling(max_tokens=50)))).plan().cached == 3
    assert run(50) == [("eos", False)] * 2 + [("eos", True)] * 3
    assert run(2) == [("length", True)] * 2 + [("eos", True)] * 3
    assert run(1)[:2] == [("length", False)] * 2
    assert run(50) == [("eos", True)] * 5


def test_the_same_question_under_another_name_has_its_answer(desk):
    desk.models["copy"] = desk.model("copy")
    desk.prompts["same"] = desk.prompts["plain"]
    carry_out(desk.evaluation(bench(Variant("A", "plain", "desk"))))
    fields = Variant("B", "same", "copy", Sampling(seed=9))  # a seed decides nothing at temperature 0
    assert all(cell.cached for cell in carry_out(desk.evaluation(bench(fields))))


def test_a_model_file_that_changed_is_another_model(desk):
    carry_out(desk.evaluation(bench()))
    desk.model("desk", rules=[{"reply": "changed"}])
    cells = carry_out(desk.evaluation(bench()))
    assert {(cell.completion.text, cell.cached) for cell in cells} == {("changed", False)}


def test_answers_that_chance_decides_are_never_taken_for_known(desk):
    variant = Variant("A", "plain", "desk", Sampling(temperature=1.0, seed=None))
    carry_out(desk.evaluation(bench(variant)))
    cells = carry_out(desk.evaluation(bench(variant)))
    assert not any(cell.cached or cell.prompt_digest for cell in cells)


def test_repeats_draw_by_seeds_of_their_own_and_are_known_one_by_one(desk):
    desk.model("desk", rules=[{"reply": ["zero", "one", "two"]}])
    variant = Variant("A", "plain", "desk", Sampling(temperature=1.0, seed=0))
    cells = carry_out(desk.evaluation(bench(variant, repeats=3), CASES[:2]))
    assert sorted((cell.case, cell.repeat, cell.completion.text) for cell in cells) == [
        (case, repeat, ("zero", "one", "two")[repeat]) for case in (1, 2) for repeat in range(3)
    ]
    assert all(cell.cached for cell in carry_out(desk.evaluation(bench(variant, repeats=3), CASES[:2])))
    view = RunView(desk.store, "last")
    assert view.cell("A", 2, 2).completion.text == "two"
    assert view.rows()[0].cells[0].done == 3


def test_a_run_that_was_cancelled_keeps_what_is_finished_and_goes_on_where_it_was(desk):
    evaluation = desk.evaluation(bench(), options=RunOptions(concurrency=1))
    cells = []
    for event in evaluation.events():
        if isinstance(event, CellFinished):
            cells.append(event.cell)
            if len(cells) == 3:
                evaluation.cancel()
        last = event
    assert isinstance(last, RunFinished)
    assert not last.finished
    assert find_run(desk.store, "last").state == "stopped"
    done = find_run(desk.store, "last").done
    assert done == len(cells) < 10
    rest = carry_out(desk.resume())
    assert len(rest) == 10 - done
    assert not {(cell.variant, cell.case) for cell in rest} & {(cell.variant, cell.case) for cell in cells}
    run = find_run(desk.store, "last")
    assert (run.done, run.state) == (10, "finished")


def test_a_resumed_run_keeps_its_prompts_and_cases_as_they_were(desk):
    evaluation = desk.evaluation(bench(), options=RunOptions(concurrency=1))
    events = evaluation.events()
    while not isinstance(next(events), CellFinished):
        pass
    events.close()
    desk.prompts["plain"] = desk.prompts["wanting"]
    cells = carry_out(desk.resume())
    assert cells
    assert not any(cell.error for cell in cells)
    assert RunView(desk.store, "last").cell("A", 5).completion.text == "label5"


def test_a_run_whose_model_changed_cannot_go_on(desk):
    events = desk.evaluation(bench(), options=RunOptions(concurrency=1)).events()
    while not isinstance(next(events), CellFinished):
        pass
    events.close()
    desk.model("desk", rules=[{"reply": "changed"}])
    with pytest.raises(StoreError, match=r"desk\.script\.json has changed"):
        desk.resume().plan()


def test_failed_cells_are_run_again_when_that_is_wanted(desk):
    desk.model("desk", rules=[{"contains": "message 3", "reply": "x", "fail_after": 0, "failure": "It fell."}, *RULES])
    cells = carry_out(desk.evaluation(bench()))
    assert [cell.case for cell in cells if cell.error] == [3, 3]
    assert carry_out(desk.resume()) == []
    again = desk.resume(retry_failed=True)
    assert again.plan().done == 8
    assert [(cell.case, cell.error) for cell in carry_out(again)] == [(3, "It fell.")] * 2
    run = find_run(desk.store, "last")
    assert (run.done, run.failed) == (10, 2)


def test_a_prompt_that_was_missing_is_looked_for_again(desk):
    evaluation = desk.evaluation(bench(Variant("A", "later", "desk")))
    assert all(cell.error for cell in carry_out(evaluation))
    desk.prompts["later"] = desk.prompts["plain"]
    assert not any(cell.error for cell in carry_out(desk.resume(retry_failed=True)))
    assert find_run(desk.store, "last").failed == 0


def test_a_run_that_another_process_carries_out_is_left_to_it(desk):
    carry_out(desk.evaluation(bench()))
    run = find_run(desk.store, "last")
    import psutil

    from workbench.runs.view import actual_state
    from workbench.store.runs import change_run

    parent = psutil.Process(os.getppid())
    change_run(desk.store, run.key, state="running", owner=f"{parent.pid} {parent.create_time():.2f}")
    with pytest.raises(StoreError, match=r"carried out by process \d+"):
        desk.resume()
    assert actual_state(find_run(desk.store, "last")) == "running"
    change_run(desk.store, run.key, owner=f"{parent.pid} 1.00")  # the same number, but not the same process
    assert actual_state(find_run(desk.store, "last")) == "interrupted"
    assert carry_out(desk.resume()) == []


def test_a_run_is_not_gone_on_with_while_it_goes_on(desk):
    evaluation = desk.evaluation(bench(), options=RunOptions(concurrency=1))
    for event in evaluation.events():
        if isinstance(event, CellFinished):
            with pytest.raises(StoreError, match="carried out by process"):
                desk.resume()
    waiting, other = desk.resume(), desk.resume()
    first = waiting.events()
    next(first)
    with pytest.raises(StoreError, match="taken up by another"):
        next(other.events())
    assert find_run(desk.store, "last").state == "running"
    first.close()
    assert find_run(desk.store, "last").state == "stopped"


def test_a_paused_model_waits_while_others_go_on(desk):
    desk.model("second")
    variants = (Variant("a", "plain", "desk"), Variant("b", "plain", "second"))
    evaluation = desk.evaluation(bench(*variants), options=RunOptions(concurrency=1))
    evaluation.plan()
    evaluation.pause("desk")
    order = []
    for event in evaluation.events():
        if isinstance(event, CellFinished):
            order.append(event.cell.variant)
        if isinstance(event, RunProgress) and event.state == "paused":
            assert event.paused == ("desk",)
            assert order == ["b"] * 5
            evaluation.unpause("desk")
    assert order == ["b"] * 5 + ["a"] * 5


def test_a_paused_run_starts_nothing_until_it_goes_on(desk):
    evaluation = desk.evaluation(bench())
    evaluation.pause()
    kinds = []
    for event in evaluation.events():
        kinds.append(type(event))
        if isinstance(event, RunProgress) and event.state == "paused":
            assert CellStarted not in kinds
            evaluation.unpause()
    assert kinds.count(CellFinished) == 10


class WatchedPool(Pool):
    """A pool that counts answers in flight and remembers their priorities."""

    def __init__(self):
        super().__init__()
        self.now = self.most = 0
        self.priorities = set()

    def client(self, model):
        client = super().client(model)
        generate = client.generate

        async def watched(request):
            self.now += 1
            self.most = max(self.most, self.now)
            self.priorities.add(request.priority)
            async for event in generate(request):
                self.now -= isinstance(event, Chunk) and event.stop_reason is not None
                yield event

        client.generate = watched
        return client


def test_no_more_cells_are_in_flight_than_allowed_and_live_panes_go_first(desk):
    desk.model("desk", pace="real", first_token_seconds=0.01)
    pool = desk.pool(WatchedPool)
    carry_out(desk.evaluation(bench(), options=RunOptions(concurrency=2), pool=pool))
    assert pool.most == 2
    assert pool.priorities == {1}


def test_models_that_the_run_loaded_are_unloaded_and_those_of_others_stay(desk):
    desk.model("second")
    pool = desk.pool()
    pool.load(desk.models["second"]).result(120)
    variants = (Variant("a", "plain", "desk"), Variant("b", "plain", "second"))
    carry_out(desk.evaluation(bench(*variants), options=RunOptions(unload=True), pool=pool))
    assert [one.model.name for one in pool.loaded_models()] == ["second"]


def test_a_scorer_that_raises_gives_no_score_and_stops_nothing(desk, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(desk.folder / "home"))
    (desk.folder / "mine.py").write_text("def judge(text, case):\n    return 1 / 0\n")
    spec = {"python": {"file": "mine.py", "function": "judge"}}
    trust(find_untrusted([spec], desk.folder))
    cells = carry_out(desk.evaluation(bench(scorers=("exact_match", spec)), CASES[:2]))
    assert [cell.error for cell in cells] == [""] * 4
    assert [cell.scores[0].value for cell in cells] == [1.0] * 4
    assert not any(cell.scores[1].applies for cell in cells)
    assert "ZeroDivisionError" in cells[0].scores[1].explanation + cells[0].scores[1].details
    kept = RunView(desk.store, "last").cell("A", 1).scores[1]
    assert kept == cells[0].scores[1]


def test_a_case_without_an_answer_is_answered_and_not_judged(desk):
    (cell, _) = carry_out(desk.evaluation(bench(), [Case(1, {"message": "message 1"})]))
    assert cell.completion.text == "label1"
    assert not any(score.applies for score in cell.scores)
    assert list(RunView(desk.store, "last").judgements("exact_match")) == []


def test_no_cases_and_unknown_scorers_are_told_before_anything_runs(desk):
    with pytest.raises(DatasetError, match="no cases"):
        desk.evaluation(bench(), ())
    with pytest.raises(ScorerError):
        desk.evaluation(bench(scorers=("exact_mach",)))
    with pytest.raises(StoreError):
        find_run(desk.store, "last")


def run_until_full(desk, options: RunOptions, on_waiting):
    """A run whose store takes 40 more pages than it has when it begins; what it told, up to its end."""
    desk.model("desk", rules=[{"reply": "long " * 4000}], context_tokens=100_000)
    variant = Variant("A", "plain", "desk", Sampling(max_tokens=4000))
    cases = tuple(Case(number, {"message": f"message {number}"}, "x") for number in range(1, 31))
    evaluation = desk.evaluation(bench(variant), cases, options)
    for event in evaluation.events():
        if isinstance(event, RunStarted):
            pages = desk.store.read("PRAGMA page_count")[0][0]
            desk.store.read(f"PRAGMA max_page_count = {pages + 40}")
        if isinstance(event, RunProgress) and event.state == "waiting":
            on_waiting(evaluation)
        yield event


def test_on_a_full_disk_a_run_waits_says_so_and_goes_on_when_there_is_room(desk):
    def make_room(evaluation):
        desk.store.read("PRAGMA max_page_count = 1000000")

    told = list(run_until_full(desk, RunOptions(concurrency=1), make_room))
    waiting = [event for event in told if isinstance(event, RunProgress) and event.problem]
    assert "disk is full" in waiting[0].problem
    assert told[-2].state == "running"
    assert told[-2].problem == ""
    assert [event.cell.case for event in told if isinstance(event, CellFinished)] == list(range(1, 31))
    assert find_run(desk.store, "last").done == 30
    assert find_run(desk.store, "last").state == "finished"


def test_a_read_only_store_is_waited_for_too(desk):
    evaluation = desk.evaluation(bench())
    told = []
    for event in evaluation.events():
        told.append(event)
        if isinstance(event, RunStarted):
            desk.store.read("PRAGMA query_only = ON")
        if isinstance(event, RunProgress) and event.state == "waiting":
            desk.store.read("PRAGMA query_only = OFF")
    assert sum(isinstance(event, CellFinished) for event in told) == 2 * len(CASES)
    assert find_run(desk.store, "last").done == 2 * len(CASES)
    assert any("cannot be opened or written" in event.problem for event in told if isinstance(event, RunProgress))


@pytest.mark.parametrize("how", ["cancelled", "too long"])
def test_a_disk_that_stays_full_ends_the_run_with_what_was_kept_and_it_goes_on_later(desk, how):
    options = RunOptions(concurrency=1, wait_seconds=0.0 if how == "too long" else 3600.0)
    kept = []
    with pytest.raises(StoreBlockedError, match="disk is full") as caught:
        told = run_until_full(desk, options, lambda evaluation: evaluation.cancel())
        kept.extend(event.cell.case for event in told if isinstance(event, CellFinished))
    assert "--resume" in caught.value.hint
    assert 0 < len(kept) < 30
    assert find_run(desk.store, "last").done == len(kept)
    desk.store.read("PRAGMA max_page_count = 1000000")
    assert len(carry_out(desk.resume())) == 30 - len(kept)


def test_prices_make_costs_by_tokens_and_by_the_hour(desk):
    prices = {"desk": Price(input=1_000_000, output=2_000_000), "second": Price(hour=3600)}
    desk.model("second", pace="real", first_token_seconds=0.02)
    variants = (Variant("a", "plain", "desk"), Variant("b", "plain", "second"))
    cells = {c.variant: c for c in carry_out(desk.evaluation(bench(*variants, prices=prices), CASES[:1]))}
    done = cells["a"].completion
    assert cells["a"].cost == done.prompt_tokens + 2 * done.output_tokens
    assert 0.02 <= cells["b"].cost < 10
    again = {c.variant: c for c in carry_out(desk.evaluation(bench(*variants, prices=prices), CASES[:1]))}
    assert {name: cell.cost for name, cell in again.items()} == pytest.approx({n: c.cost for n, c in cells.items()})


def test_time_is_foretold_by_earlier_runs_of_the_same_model(desk):
    desk.model("desk", pace="real", first_token_seconds=0.01)
    first = desk.evaluation(bench(Variant("A", "plain", "desk")), options=RunOptions(concurrency=1))
    assert first.plan().seconds is None
    carry_out(first)
    plan = desk.evaluation(bench(Variant("B", "other", "desk"))).plan()
    assert (plan.cells, plan.done, plan.cached) == (5, 0, 0)
    assert 0.05 <= plan.seconds < 5
    assert [(model.model, model.variants, model.cells) for model in plan.models] == [("desk", ("B",), 5)]


def test_a_plan_names_what_cannot_run(desk):
    plan = desk.evaluation(bench(Variant("A", "none", "desk"), Variant("B", "plain", "desk"))).plan()
    assert plan.problems == ("no prompt none",)
    assert [model.cells for model in plan.models] == [5, 5]


def test_rows_filter_while_the_run_goes_on(desk):
    for event in desk.evaluation(bench(), options=RunOptions(concurrency=1)).events():
        if isinstance(event, CellFinished):
            view = RunView(desk.store, "last")
            assert view.count() == 5
            states = [preview.state for row in view.rows() for preview in row.cells]
            assert states.count("done") == view.run.done
            assert view.count(Filter(text=event.cell.completion.text)) >= 1


JUDGE = {"judge": {"model": "judge", "rubric": "Is it a label?", "points": 5}}


def test_a_judge_is_asked_once_for_the_same_answer_and_its_failure_stops_nothing(desk):
    desk.model("judge", rules=[{"reply": '{"reason": "It is.", "score": 4}'}], context_tokens=10_000)
    evaluation = desk.evaluation(bench(scorers=(JUDGE,)))
    assert evaluation.plan().judges == ("judge",)
    cells = carry_out(evaluation)
    assert {score.value for cell in cells for score in cell.scores} == {0.75}
    pool = desk.pool()
    again = carry_out(desk.evaluation(bench(scorers=(JUDGE, "exact_match")), pool=pool))
    assert pool.loaded_models() == ()
    assert {(cell.variant, cell.case): cell.scores[0] for cell in again} == {
        (cell.variant, cell.case): cell.scores[0] for cell in cells
    }
    desk.model("judge", load="fails")
    lost = carry_out(desk.evaluation(bench(scorers=(JUDGE, "exact_match"))))
    assert not any(cell.scores[0].applies or cell.error for cell in lost)
    assert all(cell.scores[1].value == 1.0 for cell in lost)
    assert "loading fails" in lost[0].scores[0].explanation


def test_likelihoods_need_no_answer_and_are_known_the_second_time(desk):
    first = carry_out(desk.evaluation(bench(scorers=("log_likelihood",))))
    assert all(cell.scores[0].applies and cell.scores[0].value < 0 for cell in first)
    assert {cell.completion.output_tokens for cell in first} == {0}
    assert not any(cell.cached for cell in first)
    pool = desk.pool()
    second = carry_out(desk.evaluation(bench(scorers=("log_likelihood",)), pool=pool))
    assert {(cell.variant, cell.case): cell.scores for cell in second} == {
        (cell.variant, cell.case): cell.scores for cell in first
    }
    assert all(cell.cached for cell in second)


def test_other_wordings_of_a_prompt_run_beside_it(desk):
    from workbench.runs.perturbations import add_perturbations

    desk.prompts["plain"] = Prompt("plain", "user:\nWhere does this message belong? {{ message }}\n")
    spread = add_perturbations(
        bench(Variant("A", "plain", "desk"), perturbations=("casing",)), desk.sources.open_prompt
    )
    cells = carry_out(desk.evaluation(spread, CASES[:1]))
    assert len({cell.prompt_digest for cell in cells}) == len(spread.variants) > 1


def test_examples_that_are_left_out_to_fit_are_said_with_the_answer(desk):
    examples = tuple(Example(f"e{n}", {"message": "a parcel is late"}, "late") for n in range(16))
    desk.prompts["shots"] = Prompt("shots", "user:\n{{ message }}\n", placement="turns", examples=examples)
    desk.model("small", context_tokens=100)
    wanted = Bench((Variant("v", "shots", "small", Sampling(max_tokens=10)),))
    (cell,) = carry_out(desk.evaluation(wanted, CASES[:1], RunOptions(strategy="drop")))
    (note,) = cell.completion.notes
    assert list(RunView(desk.store, "last").notes()) == [("v", note, 1)]
    assert re.fullmatch(r"\d+ of 16 examples are left out to fit the context: e\d+, .* more\.", note)
