from __future__ import annotations

import json
import threading
from collections import Counter

import pytest

from tests.search.example_folder import TOPICS
from workbench.datasets import load_cases
from workbench.errors import FileError, SearchError
from workbench.runs.bench import load_bench
from workbench.runs.run import Evaluation
from workbench.runs.sources import find_sources
from workbench.search.budget import SearchBudget, Spending, describe_overruns
from workbench.search.journal import (
    BestChanged,
    CandidateEvaluated,
    CandidateRefused,
    SearchEnded,
    SearchJournal,
    SearchProgress,
    SearchStarted,
    TestOpened,
    read_journal,
)
from workbench.search.search_dir import SearchDir
from workbench.search.search_log import SearchLog
from workbench.search.search_words import describe_outcome, describe_plan, list_reasons
from workbench.settings import Settings
from workbench.store.store import Store


def test_examples_find_a_rule_that_is_hidden_in_the_data(planted):
    search = planted.search()
    result = search.run()
    assert result.improved
    assert {one.answer for one in result.winner.examples} == set(TOPICS.values())
    assert result.dev.winner.value == result.test.winner.value == 1.0
    assert result.test.seed.value == pytest.approx(0.2)
    assert result.test.n == 60
    assert result.stopped == "the best possible score was reached on dev"
    assert describe_outcome(result).startswith("Improved: exact match 1.00 on test against 0.20")
    assert result.run


def test_the_budget_is_never_exceeded_by_a_call_and_every_call_is_counted(planted):
    planted.script({"reply": "none"})  # nothing helps, so that it searches on
    for calls in (180, 200, 333, 641):
        search = planted.search(planted.request(calls, patience=50))
        result = search.run()
        asked = planted.count_asked(search)
        assert asked == result.spending.calls <= calls
        assert "budget" in result.stopped


def test_a_budget_that_cannot_suffice_is_refused_before_any_call(planted):
    with pytest.raises(SearchError, match="A budget of 179 calls is too small") as refused:
        planted.search(planted.request(179)).run()
    assert "180" in refused.value.message
    assert not any(isinstance(event, SearchStarted) for event in planted.events)


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (SearchBudget(tokens=400), "the budget of 400 tokens is spent"),
        (SearchBudget(minutes=0.0), "the time budget of 0 ms is spent"),
    ],
)
def test_other_budgets_end_it_too(planted, budget, reason):
    planted.script({"reply": "none"})
    assert planted.search(planted.request(budget=budget)).run().stopped == reason


def test_money_is_kept_within_the_budget(planted):
    bench = planted.folder / "demo.bench.yaml"
    bench.write_text(bench.read_text() + "prices: {'*': {input: 1000, output: 1000}}\n")
    planted.script({"reply": "none"})
    search = planted.search(planted.request(budget=SearchBudget(money=2.0)))
    result = search.run()
    assert "money" in result.stopped or "budget of 2" in result.stopped
    assert 0 < result.spending.money <= 2.0


def test_rounds_without_a_gain_end_it_and_it_says_no_improvement(planted):
    planted.script({"reply": "Lantern"})
    result = planted.search(planted.request(20_000, patience=2)).run()
    assert result.stopped == "2 rounds brought no improvement"
    assert not result.improved
    assert result.winner.examples == ()  # the same score with fewer tokens
    assert "No improvement" in describe_outcome(result)


def test_where_nothing_beats_the_prompt_on_dev_the_test_stays_sealed(planted):
    (planted.folder / "examples.jsonl").write_text("")
    planted.script({"reply": "none"})
    result = planted.search(planted.request(400, patience=1)).run()
    assert result.winner == result.seed
    assert result.test is None
    assert result.openings == 0
    assert "stays sealed" in describe_outcome(result)
    assert not any(isinstance(event, TestOpened) for event in planted.events)


def test_each_opening_of_the_test_is_counted_over_searches(planted):
    first = planted.search(planted.request(seed=1)).run()
    second = planted.search(planted.request(seed=2)).run()
    assert (first.openings, second.openings) == (1, 2)
    assert second.test.p_corrected == pytest.approx(min(1.0, 2 * second.test.p))
    assert any("opened for the 2nd time: its figure is no longer unseen" in line for line in list_reasons(second))


class StoppedAfter:
    """Cancels a search after so many evaluations."""

    def __init__(self, search, count):
        self.search, self.left = search, count

    def __call__(self, event):
        if isinstance(event, CandidateEvaluated):
            self.left -= 1
            if self.left == 0:
                self.search.cancel()


def ignore(event):
    pass


@pytest.mark.parametrize("count", [1, 4, 9])
def test_a_cancelled_search_resumes_with_no_call_repeated_and_comes_to_the_same_end(planted, count):
    whole = planted.search().run()
    search = planted.search()
    planted.watch = StoppedAfter(search, count)
    assert search.run() is None
    planted.watch = ignore
    resumed = planted.search(search_dir=search.search_dir)
    result = resumed.run()
    assert result.winner.digest == whole.winner.digest
    assert planted.count_asked(resumed) == result.spending.calls
    records = read_journal(search.search_dir.journal).records
    asked = Counter(
        (one.candidate, one.part, answer.case)
        for one in records
        if isinstance(one, CandidateEvaluated)
        for answer in one.results
    )
    assert set(asked.values()) == {1}
    refused = [one.candidate.digest for one in records if isinstance(one, CandidateRefused)]
    assert len(refused) == len(set(refused))


def test_an_ended_search_answers_from_its_journal(planted):
    search = planted.search()
    result = search.run()
    again = planted.search(search_dir=search.search_dir)
    before = planted.count_asked(search)
    assert again.run() == result
    assert planted.count_asked(again) == before


def test_a_search_whose_prompt_changed_is_not_resumed(planted):
    search = planted.search()
    planted.watch = StoppedAfter(search, 2)
    assert search.run() is None
    path = planted.folder / "ask.prompty"
    path.write_text(path.read_text().replace("Name the queue", "Say the queue"))
    with pytest.raises(SearchError, match="The prompt ask changed since the search began"):
        planted.search(search_dir=search.search_dir).run()


def test_two_processes_cannot_carry_out_one_search(planted):
    search = planted.search()
    search.run()
    (search.search_dir.folder / "process").write_text("1 0.0")
    assert not search.search_dir.is_alive()  # process 1 began at another time
    search.search_dir.acquire()
    assert search.search_dir.is_alive()


def test_a_candidate_by_hand_passes_the_guards_and_is_tried(planted):
    planted.script({"contains": "please", "where": "prompt", "reply": "Lantern"}, {"reply": "none"})
    search = planted.search(planted.request(400, patience=1))
    body = search.seed.body
    search.add_candidate("c0", body=body.replace("queue", "queue, please"), reason="politer")
    search.add_candidate("c0", body=body.replace("{{ message }}", ""), reason="careless")
    result = search.run()
    edited = [one for one in search.state.candidates.values() if one.origin == "edited"]
    assert [one.reason for one in edited] == ["politer"]
    assert search.state.score(edited[0].id) == pytest.approx(0.2)
    assert "please" in result.winner.body
    assert result.refused["variables"] == 1


def test_it_pauses_and_goes_on(planted):
    search = planted.search()
    paused = threading.Event()

    def watch(event):
        if isinstance(event, CandidateEvaluated) and not paused.is_set():
            search.pause()
            paused.set()

    planted.watch = watch
    ended = []
    thread = threading.Thread(target=lambda: ended.append(search.run()))
    thread.start()
    assert paused.wait(30)
    while not search.state.paused:
        assert thread.is_alive()
    assert not ended
    search.unpause()
    thread.join(60)
    assert ended[0].improved


def test_finish_goes_to_the_test_with_the_best_so_far(planted):
    search = planted.search()

    def watch(event):
        if isinstance(event, BestChanged):
            search.finish()

    planted.watch = watch
    result = search.run()
    assert result.stopped == "it was ended by hand"
    assert result.openings == 1


def test_what_examples_earn_is_told_with_their_tokens(planted):
    result = planted.search(planted.request(4000)).run()
    assert {one.example for one in result.effects} == {one.id for one in result.winner.examples}
    for one in result.effects:
        assert one.n == 30
        assert one.tokens > 0
    assert sum(one.change for one in result.effects) == pytest.approx(1.0)  # five topics, one example each


def test_a_failing_candidate_cannot_win(planted):
    planted.script(
        {"contains": "glass", "where": "last", "regex": "glass", "reply": "x", "fail_after": 1},
        {"reply": "Lantern"},
    )
    result = planted.search(planted.request(800, patience=1)).run()
    assert result.failed or result.winner == result.seed
    assert not result.improved


def test_events_are_the_journal_and_progress_besides(planted):
    search = planted.search(planted.request(400))
    search.run()
    told = [event for event in planted.events if not isinstance(event, SearchProgress)]
    written = read_journal(search.search_dir.journal).records
    assert tuple(told[:-2]) == written[:-2]  # the last but one has figures that are not known, which equal nothing
    assert [type(one) for one in told] == [type(one) for one in written]
    assert isinstance(told[0], SearchStarted)
    assert sum(isinstance(event, SearchEnded) for event in told) == 1


def test_a_journal_that_cannot_be_opened_is_the_error_told_and_the_folder_is_free_again(planted, monkeypatch):
    def refuse(log, path):
        raise FileError("No space left on the device.", "Free some.")

    search = planted.search()
    with monkeypatch.context() as patch:
        patch.setattr(SearchLog, "open", refuse)
        with pytest.raises(FileError, match="No space left"):
            search.run()
    search.search_dir.acquire()  # nobody holds it any more
    search.search_dir.release()


def test_dev_answers_of_an_earlier_run_are_taken_and_counted(planted):
    path = planted.folder / "before.bench.yaml"
    path.write_text((planted.folder / "demo.bench.yaml").read_text().replace("test.jsonl", "validation.jsonl"))
    bench = load_bench(path)
    cases = load_cases(bench.dataset, planted.folder)
    run = Evaluation(bench, path, cases, planted.pool, find_sources(bench, planted.folder, Settings()), planted.store)
    list(run.events())

    search = planted.search()
    plan = search.plan()
    assert plan.cached == 30
    assert "cached: 30 answers of the hand-written prompt on dev are known from earlier runs" in describe_plan(plan)[4]
    result = search.run()
    assert all(one.cached for one in search.state.results("c0").values())
    assert result.spending.cached >= 30
    assert planted.count_asked(search) == result.spending.calls
    assert result.improved


def fail_to_release(search_dir):
    raise FileError("Cannot remove the file `process`.")


def test_what_fails_on_closing_is_said_beside_the_error_that_ended_it(planted, monkeypatch):
    append, full = SearchJournal.append, []

    def fill(journal, record):
        if full or isinstance(record, CandidateEvaluated):
            full.append(record)
            raise FileError("No space left on the device.")
        append(journal, record)

    search = planted.search()
    with monkeypatch.context() as patch:
        patch.setattr(SearchJournal, "append", fill)
        patch.setattr(SearchDir, "release", fail_to_release)
        with pytest.raises(FileError) as failed:
            search.run()
    assert len(full) == 2  # the second is the time, on closing: the same message, once
    assert failed.value.message == (
        "No space left on the device. On closing the search: Cannot remove the file `process`."
    )
    with monkeypatch.context() as patch:
        patch.setattr(SearchDir, "release", fail_to_release)
        with pytest.raises(FileError, match="Cannot remove the file"):
            planted.search(planted.request(400)).run()


def test_tokens_are_kept_back_for_the_final_test_and_what_passes_a_limit_is_said(planted):
    free = planted.search(planted.request(seed=1)).run()
    assert free.test is not None
    assert 0 < free.searched.tokens < free.spending.tokens
    limit = free.searched.tokens // 3
    planted.store.close()
    planted.store = Store(planted.folder / "another.sqlite")
    result = planted.search(planted.request(seed=1, budget=SearchBudget(tokens=limit))).run()
    assert result.stopped.startswith(f"the budget of {limit:,} tokens is spent")
    over = [line for line in list_reasons(result) if "was passed by" in line]
    assert bool(over) == (result.spending.tokens > limit)


def test_each_limit_that_was_passed_is_told_with_what_passed_it():
    searched, spent = Spending(10, 0, 900, 150, 70.0), Spending(20, 0, 1800, 200, 100.0)
    assert describe_overruns(searched, spent, SearchBudget(20, 1000, 1.0, 5.0)) == [
        "The token budget of 1,000 tokens was passed by 1,000 tokens: 50 tokens by answers that ended when it was"
        " reached and 950 tokens by the final test, which is always run whole.",
        "The time budget of 1:00 min was passed by 40.0 s: 10.0 s by answers that ended when it was reached and"
        " 30.0 s by the final test, which is always run whole.",
    ]
    assert describe_overruns(searched, spent, SearchBudget(20, 2000, 2.0)) == []
    assert describe_overruns(searched, spent, SearchBudget(tokens=1999)) == [
        "The token budget of 1,999 tokens was passed by 1 token: 1 token by the final test, which is always run whole."
    ]


def test_each_turn_of_a_conversation_is_a_call(planted):
    for name in ("train", "validation", "test"):
        path = planted.folder / f"{name}.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()][:20]
        path.write_text("".join(json.dumps({"turns": [row, row]}) + "\n" for row in rows))
    planted.script({"reply": "none"})
    search = planted.search(planted.request(300, patience=1))
    assert search.prepared.calls_per_case == 2
    assert search.plan().minimum == 2 * 20 * 2 + 2 * 20 * 2
    result = search.run()
    assert result.spending.calls <= 300
    assert result.spending.calls % 2 == 0
    seed = len(search.state.results("c0"))
    assert result.spending.calls >= 2 * seed == 40
