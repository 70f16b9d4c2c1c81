from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.analysis.summary import Estimate
from workbench.cli.app import run
from workbench.runs.matrix_rows import Metric
from workbench.training.manifest import DatasetScores, Manifest, read_manifest, write_manifest
from workbench.training.registry import Registry
from workbench.training.regression_check import compare_rates, judge_regression

METRIC = Metric("exact_match", binary=True)


def judged(before: float, now: float, cases: int) -> str:
    return judge_regression("mine", METRIC, before, 100, Estimate(now, 0, 1, cases)).verdict


def test_a_fall_beyond_noise_is_told_from_one_within():
    assert judged(0.95, 0.70, 200) == "fell"
    assert judged(0.95, 0.93, 200) == "steady"
    assert judged(0.95, 0.70, 5) == "steady"
    assert judged(0.60, 0.95, 200) == "rose"


@given(st.floats(0, 1), st.integers(0, 300), st.floats(0, 1), st.integers(0, 300))
def test_p_is_a_probability_and_the_same_both_ways(first, n, second, m):
    p = compare_rates(first, n, second, m)
    assert 0 <= p <= 1 + 1e-9
    assert p == pytest.approx(compare_rates(second, m, first, n))


def test_the_command_measures_keeps_and_warns(lesson, capsys):
    adapter = Registry().folder / "mine"
    adapter.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    metrics = DatasetScores({"exact_match": 1.0}, 100)
    write_manifest(adapter, Manifest("mine", 1, 1.0, "lora", "b", "d", "", prompt="ask", metrics=metrics))
    rules = [{"regex": r"good (?P<n>\d+)", "reply": "answer {n}"}, {"reply": "no"}]
    (lesson / "desk.script.json").write_text(json.dumps({"rules": rules, "context_tokens": 1000}))
    rows = [{"message": f"{'good' if n % 2 else 'new'} {n}", "expected": f"answer {n}"} for n in range(40)]
    (lesson / "new.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (lesson / "new.bench.yaml").write_text(
        "dataset: {path: new.jsonl}\nvariants: [{name: a, prompt: ask, model: desk.script.json}]\n"
    )
    code = run(["adapters", "drift", "mine", "new.bench.yaml"], lambda bench, model: 0)
    assert (code, "has regressed" in capsys.readouterr().out) == (1, True)
    assert read_manifest(adapter).later[0].scores == {"exact_match": 0.5}
