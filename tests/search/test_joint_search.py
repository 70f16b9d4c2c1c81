"""Search over instruction, examples, order and thinking together, on a task whose rule is in the data alone."""

from __future__ import annotations

import pytest

from tests.search.opened_search import open_search
from tests.search.planted_rules import LABELS, write_script, write_task
from workbench import paths
from workbench.inference.pool import Pool
from workbench.search.journal import CandidateDropped, CandidateEvaluated, CandidateProposed, Reflected
from workbench.search.prompt_search import PromptSearch
from workbench.settings import Settings
from workbench.store.store import Store

HIDDEN = "rule: {word} means {label}"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))


def test_examples_are_found_where_no_instruction_helps(tmp_path):
    bench = write_task(tmp_path / "task", labels=4, dev=40, test=40, rule=HIDDEN)
    with open_search(bench, "both", calls=6000, patience=8) as (search, events):
        result = search.run()
    assert result is not None and result.improved
    assert result.winner.origin in ("trial", "examples")  # the latter: a trial's without an example that earns nothing
    assert {one.answer for one in result.winner.examples} == set(list(LABELS)[:4])
    assert result.test.winner.value == 1.0
    assert any("interval lies below the best" in one.reason for one in events.of(CandidateDropped))


def test_an_instruction_and_examples_are_found_together(tmp_path):
    """Half of the labels are known by their rule alone, half by an example alone."""
    bench = write_task(tmp_path / "task", labels=4, dev=40, test=40)
    names = list(LABELS)[:4]
    rules = [
        *(_known_by(name, "system: .*" + rf"\b{name}: {LABELS[name]}\b.*") for name in names[:2]),
        *(_known_by(name, rf"user: [^\n]*{LABELS[name]}[^\n]*\nassistant: {name}\n.*") for name in names[2:]),
        {"reply": "unsure"},
    ]
    write_script(bench.parent / "model.script.json", rules)
    with open_search(bench, "both", calls=8000, patience=12) as (search, _):
        result = search.run()
    assert result is not None and result.improved
    assert "Abacus: invoice" in result.winner.body
    assert {"Compass", "Harbour"} <= {one.answer for one in result.winner.examples}
    assert result.test.winner.value == 1.0


def test_thinking_is_no_choice_for_a_model_that_refuses_it(tmp_path):
    bench = write_task(tmp_path / "task", labels=2, dev=8, test=8)
    text = bench.read_text().replace("model.script.json", str(paths.find_shipped("assets/desk-q8_0.gguf")))
    bench.write_text(text)
    with open_search(bench, "both", calls=500, patience=1) as (search, events):
        search.run()
    trials = [one.candidate for one in events.of(CandidateProposed) if one.candidate.origin == "trial"]
    assert [one.thinking for one in trials[:2]] == ["on", "default"]
    assert "shows no reasoning" in search.state.dropped[trials[0].id]
    assert not any(one.thinking == "on" for one in trials[1:])


def test_reflections_join_the_space(tmp_path):
    bench = write_task(tmp_path / "task", labels=2, dev=12, rule=HIDDEN)
    with open_search(bench, "both", reflector="reflector", patience=3) as (search, events):
        search.run()
    assert 1 <= len(events.of(Reflected)) <= 3
    assert any(one.candidate.origin == "reflection" for one in events.of(CandidateProposed))


def test_a_joint_search_goes_on_with_the_same_trials(tmp_path):
    bench = write_task(tmp_path / "task", labels=3, dev=16, test=10, noise=0.3)

    def interrupt(event):
        if isinstance(event, CandidateEvaluated) and len(events.of(CandidateEvaluated)) == 10:
            search.cancel()

    with open_search(bench, "both", interrupt, patience=2) as (search, events):
        assert search.run() is None
    pool, store = Pool(), Store(bench.parent / "workbench.sqlite")
    again = PromptSearch.reopen(search.search_dir, Settings(), pool, store)
    result = again.run()
    pool.close()
    store.close()
    whole = write_task(tmp_path / "whole" / "task", labels=3, dev=16, test=10, noise=0.3)
    with open_search(whole, "both", patience=2) as (undisturbed, _):
        expected = undisturbed.run()
    assert (result.winner.body, result.winner.examples) == (expected.winner.body, expected.winner.examples)
    assert list(again.state.candidates) == list(undisturbed.state.candidates)
    assert result.spending.calls == expected.spending.calls


def _known_by(label: str, before: str):
    word = LABELS[label]
    return {"where": "prompt", "regex": rf"(?s){before}\nuser: [^\n]*\b{word}\b[^\n]*\n\Z", "reply": label}
