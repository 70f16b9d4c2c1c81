"""What an adapter leaves of other tasks: measured in a verdict, against a margin that the bench wrote down before."""

from __future__ import annotations

import json

import pytest

from workbench.analysis.retention import describe_retention
from workbench.errors import BenchError
from workbench.inference.pool import Pool
from workbench.runs.bench import parse_bench
from workbench.settings import Settings
from workbench.store.store import Store
from workbench.training.contenders import VerdictRequest
from workbench.training.manifest import DataTrace, Manifest, write_manifest
from workbench.training.registry import Registry
from workbench.training.verdict_report import render_json, render_markdown
from workbench.training.verdict_run import StageStarted, VerdictRun

BENCH = """\
dataset: {path: data/test.jsonl}
scorers: [exact_match]
variants:
  - {name: plain, prompt: plain, model: desk.script.json}
keep:
  - {name: sums, dataset: {path: sums.jsonl}, prompt: sums, margin: MARGIN}
"""


@pytest.fixture
def judge(lesson):
    """An adapter that answers every question, and BROKEN of the 200 sums wrongly that its base has right."""
    (lesson / "plain.prompty").write_text("user:\n{{ message }}\n")
    (lesson / "sums.prompty").write_text("user:\nAdd: {{ sum }}\n")
    (lesson / "data").mkdir()
    for split, first in (("train", 0), ("test", 200)):
        rows = [{"message": f"question {n}", "expected": f"answer {n}"} for n in range(first, first + 40)]
        (lesson / "data" / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    sums = [{"sum": f"sum {n}", "expected": f"is {n}"} for n in range(1000, 1200)]
    (lesson / "sums.jsonl").write_text("\n".join(map(json.dumps, sums)))
    adapter = Registry().folder / "mine"
    adapter.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    data = (DataTrace("train", "train.jsonl", "d", 12),)
    write_manifest(
        adapter, Manifest("mine", 1, 1.0, "lora", "b", "d", "", prompt="plain", data=data, tokens=500, seconds=9)
    )
    pool, store = Pool(), Store(lesson / "workbench.sqlite")
    told = []

    def carry_out(broken, margin):
        (lesson / "demo.bench.yaml").write_text(BENCH.replace("MARGIN", str(margin)))
        rules = [
            {"adapter": "mine", "regex": r"question (?P<n>\d+)", "reply": "answer {n}"},
            *({"adapter": "mine", "contains": f"sum {1000 + n}", "reply": "lost"} for n in range(broken)),
            {"regex": r"sum (?P<n>\d+)", "reply": "is {n}"},
            {"reply": "no idea"},
        ]
        (lesson / "desk.script.json").write_text(json.dumps({"rules": rules, "context_tokens": 1000}))
        return VerdictRun(VerdictRequest(lesson / "demo.bench.yaml"), Settings(), pool, store, told.append).judge()

    carry_out.told = told
    yield carry_out
    pool.close()
    store.close()


def test_an_adapter_that_breaks_another_task_beyond_the_margin_is_not_recommended(judge):
    verdict = judge(broken=30, margin=0.05)
    (found,) = verdict.retention
    assert (found.result.outcome, found.result.before, found.result.after) == ("worse", 1.0, 0.85)
    assert (found.cases, found.prompt) == (200, "sums")
    assert verdict.recommendation.choice == "prompt"
    assert verdict.recommendation.headline.endswith("scores higher, but loses more than the bench's margin on sums.")
    assert (
        "sums loses more than the margin: exact match 1.00 → 0.85 on 200 cases."
        " It loses 0.15, beyond chance; the margin is 0.05." in verdict.recommendation.evidence
    )
    assert any(isinstance(one, StageStarted) and one.stage == "retention" for one in judge.told)


def test_an_adapter_that_keeps_the_other_task_is_recommended_with_what_it_keeps(judge):
    verdict = judge(broken=0, margin=0.02)
    assert verdict.recommendation.choice == "adapter"
    (found,) = verdict.retention
    assert describe_retention(found) == (
        "sums keeps its score: exact match 1.00 → 1.00 on 200 cases. It loses at most 0.0183; the margin is 0.02."
    )
    assert describe_retention(found) in render_markdown(verdict).replace("\\", "")
    assert json.loads(render_json(verdict))["retention"][0]["result"]["outcome"] == "not worse"


def test_where_the_cases_cannot_tell_that_is_a_caveat(judge):
    verdict = judge(broken=0, margin=0.01)
    assert verdict.recommendation.choice == "adapter"
    assert "Whether the adapter keeps sums within the margin is not known." in verdict.recommendation.caveats


@pytest.mark.parametrize(
    ("keep", "problem"),
    [
        ("[{name: a, dataset: {path: x}}, {name: a, dataset: {path: y}}]", "'a' is there twice"),
        ("[{name: a, dataset: {path: x}, margin: 0}]", "margin: expected a number above 0, found 0"),
        ("[{name: ' ', dataset: {path: x}}]", "name is empty"),
        ("[{name: a, dataset: {path: x, limit: 0}}]", r"keep\[0\].dataset.limit: expected a number from 1"),
    ],
)
def test_wrong_tasks_to_keep_are_named(keep, problem):
    text = f"variants: [{{name: a, prompt: p, model: m}}]\nkeep: {keep}\n"
    with pytest.raises(BenchError, match=problem):
        parse_bench(text, "demo")
