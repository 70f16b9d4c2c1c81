from __future__ import annotations

import json

import pytest

from workbench.errors import TrainingError
from workbench.hosting.pool import Pool
from workbench.settings import Settings
from workbench.store.store import Store
from workbench.training.contest import Contest, StageBegan, Wanted
from workbench.training.manifest import DataTrace, Manifest, write_manifest
from workbench.training.registry import Registry

BENCH = """\
dataset: {path: data/test.jsonl}
scorers: [exact_match]
variants:
  - {name: plain, prompt: plain, model: desk.script.json}
  - {name: wordy, prompt: wordy, model: desk.script.json}
  - {name: shots, prompt: shots, model: desk.script.json}
"""
RULES = [
    {"adapter": "mine", "regex": r"question (?P<n>\d+)", "reply": "answer {n}"},
    {"adapter": "", "regex": r"please.*question (?P<n>\d*[02468])\b", "reply": "answer {n}"},
    {"reply": "no idea"},
]


@pytest.fixture
def arena(lesson):
    """A bench with three prompts, of which the wordy one is right half of the time, and an adapter that always is."""
    (lesson / "demo.bench.yaml").write_text(BENCH)
    (lesson / "desk.script.json").write_text(json.dumps({"rules": RULES, "context_tokens": 1000}))
    (lesson / "plain.prompty").write_text("user:\n{{ message }}\n")
    (lesson / "wordy.prompty").write_text("user:\nI ask you please: {{ message }}\n")
    (lesson / "shots.prompty").write_text(
        "---\nmetadata:\n  workbench:\n    placement: turns\n    examples: shots.jsonl\n---\nuser:\n{{ message }}\n"
    )
    (lesson / "shots.jsonl").write_text('{"id": "e1", "message": "Why?", "answer": "no"}\n')
    (lesson / "data").mkdir()
    for split, first in (("train", 0), ("validation", 100), ("test", 200)):
        rows = [{"message": f"question {n}", "expected": f"answer {n}"} for n in range(first, first + 40)]
        (lesson / "data" / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    adapter = Registry().folder / "mine"
    adapter.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    data = (DataTrace("train", "train.jsonl", "d", 12),)
    write_manifest(
        adapter, Manifest("mine", 1, 1.0, "lora", "b", "d", "", prompt="plain", data=data, tokens=500, seconds=9)
    )
    return lesson


@pytest.fixture
def judge(arena):
    pool, store = Pool(), Store(arena / "workbench.sqlite")
    told = []

    def carry_out(**wanted):
        contest = Contest(Wanted(arena / "demo.bench.yaml", **wanted), Settings(), pool, store, told.append)
        return contest.judge()

    carry_out.told = told
    yield carry_out
    pool.close()
    store.close()


def test_the_best_prompt_is_chosen_on_the_validation_split_and_weighed_on_the_test_split(judge):
    verdict = judge()
    assert verdict.chosen_on == "validation"
    assert verdict.dataset.endswith("test.jsonl")
    best, tuned = verdict.arm("best prompt"), verdict.arm("adapter")
    assert best is not None and tuned is not None
    assert (best.variant, best.scores["exact_match"].value) == ("wordy", 0.5)
    assert (tuned.prompt, tuned.adapter, tuned.scores["exact_match"].value) == ("plain", "mine", 1.0)
    assert verdict.recommendation.choice == "adapter"
    assert {one.arm for one in verdict.arms} >= {"zero-shot", "best prompt", "adapter"}
    assert judge.told


def test_a_curve_counts_rows_and_shots_on_the_validation_split(judge):
    verdict = judge(curve={12: str(Registry().find("mine").path)})
    assert [(point.kind, point.count) for point in verdict.curve] == [("rows", 12), ("shots", 0), ("shots", 1)]
    assert verdict.curve[0].score.value == 1.0
    assert [(pair.rows, pair.shots, pair.verdict) for pair in verdict.curve_pairs] == [
        (12, 0, "better"),
        (12, 1, "better"),
    ]
    told = " ".join(verdict.recommendation.evidence)
    assert "12 training rows: 1.00 on the 40 cases of the validation split" in told
    assert "corrected for 3 comparisons" in told


def test_without_a_validation_split_there_is_no_curve_and_the_test_split_does_not_stand_in(judge, arena):
    (arena / "data" / "validation.jsonl").unlink()
    with pytest.raises(TrainingError, match="needs a validation split"):
        judge(curve={12: str(Registry().find("mine").path)})


def test_a_validation_split_that_is_the_test_split_draws_no_curve(judge, arena):
    text = (arena / "data" / "test.jsonl").read_text()
    (arena / "data" / "validation.jsonl").write_text("\n".join(reversed(text.splitlines())))
    with pytest.raises(TrainingError, match="40 of the 40 validation cases stand in the test split"):
        judge(curve={12: str(Registry().find("mine").path)})


def test_without_an_adapter_that_suits_it_says_how_to_train_one(judge):
    Registry().delete("mine")
    with pytest.raises(TrainingError) as caught:
        judge()
    assert "workbench train --bench" in caught.value.hint


def test_an_adapter_that_is_not_there_is_told(judge):
    with pytest.raises(TrainingError, match="other"):
        judge(adapter="other")


def test_too_few_cases_leave_it_open_and_say_how_many_would_do(judge):
    told = judge(limit=10).recommendation
    assert told.choice == "undecided"
    assert "10 test cases cannot tell that" in told.headline


def test_latencies_are_of_answers_that_were_alone(judge):
    verdict = judge()
    stages = [one.stage for one in judge.told if isinstance(one, StageBegan)]
    assert stages == ["choosing", "testing", "timing"]
    assert "Latencies are of the first 20 cases, answered again one by one." in verdict.notes
    judge.told.clear()
    assert "one by one" not in " ".join(judge(at_once=1).notes)
    assert [one.stage for one in judge.told if isinstance(one, StageBegan)] == ["choosing", "testing"]
