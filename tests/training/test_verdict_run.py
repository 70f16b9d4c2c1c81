from __future__ import annotations

import json
import math

import pytest

from workbench.analysis.summary import Estimate
from workbench.datasets.row_digests import make_digests
from workbench.errors import TrainingError, WorkbenchError
from workbench.inference.pool import Pool
from workbench.library.versions import digest_prompt
from workbench.prompting.prompt import Prompt
from workbench.settings import Settings
from workbench.store.store import Store
from workbench.training.contenders import VerdictRequest
from workbench.training.manifest import MANIFEST, DataTrace, Manifest, write_manifest
from workbench.training.registry import Registry
from workbench.training.search_record import (
    SearchRecord,
    list_records,
    searches_folder,
    write_record,
)
from workbench.training.verdict import CONDITIONS, TrainingCost
from workbench.training.verdict_report import render_markdown
from workbench.training.verdict_run import StageStarted, VerdictRun

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

    def make(**wanted):
        return VerdictRun(VerdictRequest(arena / "demo.bench.yaml", **wanted), Settings(), pool, store, told.append)

    def carry_out(**wanted):
        return make(**wanted).judge()

    carry_out.told, carry_out.make = told, make
    yield carry_out
    pool.close()
    store.close()


def test_the_best_prompt_is_chosen_on_the_validation_split_and_weighed_on_the_test_split(judge):
    verdict = judge()
    assert verdict.chosen_on == "validation"
    assert verdict.dataset.endswith("test.jsonl")
    best, tuned = verdict.condition("best prompt"), verdict.condition("adapter")
    assert best is not None and tuned is not None
    assert (best.variant, best.scores["exact_match"].value) == ("wordy", 0.5)
    assert (tuned.prompt, tuned.adapter, tuned.scores["exact_match"].value) == ("plain", "mine", 1.0)
    assert verdict.recommendation.choice == "adapter"
    assert {one.condition for one in verdict.conditions} >= {"zero-shot", "best prompt", "adapter"}
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
    assert "12 training rows on: 1.00 on the 40 cases of the validation split" in told
    assert "corrected for 3 comparisons" in told


def test_without_a_validation_split_there_is_no_curve_and_the_test_split_does_not_stand_in(judge, arena):
    (arena / "data" / "validation.jsonl").unlink()
    with pytest.raises(TrainingError, match="needs a validation split"):
        judge(curve={12: str(Registry().find("mine").path)})


def test_a_validation_split_that_is_the_test_split_draws_no_curve(judge, arena):
    text = (arena / "data" / "test.jsonl").read_text()
    (arena / "data" / "validation.jsonl").write_text("\n".join(reversed(text.splitlines())))
    with pytest.raises(TrainingError, match="40 of the 40 validation cases are also test cases"):
        judge(curve={12: str(Registry().find("mine").path)})


def test_without_an_adapter_that_suits_it_says_how_to_train_one(judge):
    Registry().delete("mine")
    with pytest.raises(TrainingError) as caught:
        judge()
    assert "workbench train --bench" in caught.value.hint


def test_an_adapter_that_is_not_there_is_told(judge):
    with pytest.raises(WorkbenchError, match="No such adapter: 'other'"):
        judge(adapter="other")


def test_an_adapter_that_was_not_trained_here_is_judged_at_unknown_cost(judge, arena):
    """Neither time nor tokens of its training are known: nothing is counted as 0, and nothing breaks even."""
    foreign = arena / "mine"
    Registry().find("mine").path.rename(foreign)
    (foreign / MANIFEST).unlink()
    bench = arena / "demo.bench.yaml"
    text = bench.read_text()
    bench.write_text(text + "  - {name: tuned, prompt: plain, model: desk.script.json, adapters: [{adapter: mine}]}\n")
    verdict = judge()
    assert verdict.condition("adapter").scores["exact_match"].value == 1.0
    assert verdict.training == TrainingCost("mine")
    assert verdict.break_even == ()
    assert any("cost of its training is unknown" in caveat for caveat in verdict.recommendation.caveats)
    assert "mine: unknown, not trained here." in render_markdown(verdict)
    assert judge(adapter=str(foreign)).recommendation.choice == "adapter"
    with pytest.raises(TrainingError, match="no learning curve"):
        assert judge.make().manifest


def test_too_few_cases_leave_it_open_and_say_how_many_would_do(judge):
    told = judge(limit=10).recommendation
    assert told.choice == "undecided"
    assert "not significant on 10 test cases" in told.headline


def test_latencies_are_of_answers_that_were_alone(judge):
    verdict = judge()
    stages = [one.stage for one in judge.told if isinstance(one, StageStarted)]
    assert stages == ["choosing", "testing", "timing"]
    assert "Latencies are of the first 20 cases, answered again one at a time." in verdict.notes
    judge.told.clear()
    assert "one by one" not in " ".join(judge(concurrency=1).notes)
    assert [one.stage for one in judge.told if isinstance(one, StageStarted)] == ["choosing", "testing"]


POLITE = "user:\nI beg you, please: {{ message }}\n"


def keep_search(arena, **changes) -> SearchRecord:
    """A finished search that wrote the prompt `polite`, and used the rows of train and validation."""
    (arena / "polite.prompty").write_text(POLITE)
    values = {"candidates": 5, "calls": 100, "tokens": 4000, "seconds": 8.0} | changes
    digest = digest_prompt(Prompt("polite", POLITE))
    bench = str(arena / "demo.bench.yaml")
    record = SearchRecord("s1", 1.0, bench, "plain", "polite", digest, "plain", "instructions", "desk", **values)
    folder = searches_folder() / "s1"
    folder.mkdir(parents=True)
    rows = [{"message": f"question {n}"} for n in range(140)]
    write_record(folder, record, (make_digests("train", ("message",), rows),))
    return record


def test_the_prompt_of_the_newest_search_stands_beside_adapter_and_hand_written_ones(judge, arena):
    record = keep_search(arena)
    verdict = judge()
    assert [one.condition for one in verdict.conditions] == list(CONDITIONS)
    optimized, hybrid = verdict.condition("optimized prompt"), verdict.condition("adapter, optimized prompt")
    assert (optimized.prompt, optimized.adapter, optimized.made.tokens) == ("polite", "", 4000)
    assert (hybrid.prompt, hybrid.adapter, hybrid.made.tokens) == ("polite", "mine", 4500)
    assert verdict.search == record
    assert not any("edited after" in one or "search used" in one for one in verdict.recommendation.caveats)


def test_without_an_adapter_the_optimized_prompt_is_compared_alone(judge, arena):
    keep_search(arena)
    Registry().delete("mine")
    verdict = judge()
    assert verdict.training == TrainingCost("")
    assert [one.condition for one in verdict.conditions if "adapter" in one.condition] == []
    assert verdict.condition("optimized prompt") is not None


def test_contenders_can_be_left_out(judge, arena):
    keep_search(arena)
    names = {one.condition for one in judge(without=("optimized", "few-shot")).conditions}
    assert names == {"zero-shot", "best prompt", "adapter"}
    names = {one.condition for one in judge(without=("adapter",)).conditions}
    assert names == {"zero-shot", "few-shot", "best prompt", "optimized prompt"}
    with pytest.raises(TrainingError, match="neither an optimized prompt nor an adapter"):
        judge(without=("adapter", "optimized"))


def test_an_optimized_prompt_of_the_bench_is_no_hand_written_one(judge, arena):
    keep_search(arena)
    bench = arena / "demo.bench.yaml"
    bench.write_text(bench.read_text() + "  - {name: best of all, prompt: polite, model: desk.script.json}\n")
    (arena / "polite.prompty").write_text(POLITE + "Only the number.\n")
    verdict = judge()
    assert verdict.condition("optimized prompt").variant == "best of all"
    assert verdict.condition("best prompt").variant == "wordy"
    assert any("edited after its search" in one for one in verdict.recommendation.caveats)


def test_test_cases_that_the_search_has_used_are_counted(judge, arena):
    keep_search(arena)
    rows = [{"message": f"question {n}", "expected": f"answer {n}"} for n in range(130, 170)]
    (arena / "data" / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    caveats = " ".join(judge().recommendation.caveats)
    assert "The search used 10 of the 40 test cases" in caveats


def test_a_record_survives_its_file_and_unknown_intervals(arena):
    record = keep_search(arena, dev=Estimate(0.5, math.nan, math.nan, 3, "too few"))
    (held,) = list_records()
    assert math.isnan(held.dev.low)
    assert (held.dev.value, held.prompt, held.calls) == (0.5, record.prompt, record.calls)
    (searches_folder() / "broken").mkdir()
    (searches_folder() / "broken" / "record.json").write_text("{")
    assert len(list_records()) == 1
