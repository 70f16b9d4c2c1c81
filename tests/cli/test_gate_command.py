"""`workbench gate`, from the first baseline to the exit code that a CI system reads."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

ROWS = [{"message": f"message {number}", "expected": "Lantern"} for number in range(1, 31)]
BENCH = """\
variants:
  - {name: plain, prompt: ask, model: desk.script.json}
dataset: {path: rows.jsonl}
scorers: [exact_match]
"""


@pytest.fixture
def bench(folder):
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    (folder / "all.bench.yaml").write_text(BENCH)
    return folder / "all.bench.yaml"


def break_answers(folder):
    """From now on the model gives another answer."""
    script = folder / "desk.script.json"
    script.write_text(script.read_text().replace('"reply": "Lantern"', '"reply": "Abacus"'))


def test_without_a_baseline_it_says_how_to_write_one(call, bench):
    code, out, err = call("gate", "all.bench.yaml")
    assert (code, out) == (2, "")
    assert "there is no baseline yet" in err and "--write-baseline" in err


def test_an_unchanged_bench_passes_and_a_regression_fails(call, bench, folder):
    code, _, err = call("gate", "all.bench.yaml", "--write-baseline")
    assert code == 0
    assert "Wrote all.baseline.jsonl: 30 cases" in err
    code, out, _ = call("gate", "all.bench.yaml", "--margin", "0.2")
    assert code == 0
    assert "not worse" in out and "Passed" in out
    break_answers(folder)
    code, out, _ = call("gate", "all.bench.yaml", "--margin", "0.2", "--junit", "gate.xml", "--markdown", "gate.md")
    assert code == 1
    assert "It loses 1, beyond chance; the margin is 0.2." in out
    suite = ElementTree.parse(folder / "gate.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    assert "worse: It loses 1" in suite[0][0].text
    assert "| plain | ▼ worse | 1.000 | 0.000 | -1.000 |" in (folder / "gate.md").read_text()


def test_too_few_cases_have_an_exit_code_of_their_own(call, bench):
    call("gate", "all.bench.yaml", "--write-baseline")
    code, out, _ = call("gate", "all.bench.yaml", "--json")
    assert code == 3
    (found,) = json.loads(out)["results"]
    assert (found["outcome"], found["needed_cases"]) == ("not enough cases", 183)


def test_a_finished_run_can_be_held_against_the_baseline(call, bench):
    call("gate", "all.bench.yaml", "--write-baseline")
    call("eval", "all.bench.yaml")
    code, _, err = call("gate", "all.bench.yaml", "--run", "last", "--margin", "0.2")
    assert code == 0
    assert "30 cells" not in err
    call("eval", "demo.bench.yaml")
    code, _, err = call("gate", "all.bench.yaml", "--run", "last")
    assert code == 2
    assert "is one of demo, not of all" in err


def test_chance_in_the_answers_is_met_by_repeats(call, bench):
    bench.write_text(BENCH.replace("desk.script.json}", "desk.script.json, sampling: {temperature: 1.0, seed: 1}}"))
    code, _, err = call("gate", "all.bench.yaml", "--write-baseline")
    assert code == 0
    assert "each cell is run 3 times" in err and "90 cells" in err


@pytest.mark.parametrize("margin", ["0", "-0.1", "nan"])
def test_a_margin_is_above_zero(call, bench, margin):
    code, _, err = call("gate", "all.bench.yaml", "--margin", margin)
    assert code == 2
    assert "expected a number above 0" in err


def test_answers_without_a_score_are_counted_when_a_baseline_is_written(call, folder):
    code, _, err = call("gate", "demo.bench.yaml", "--variant", "plain", "--write-baseline")
    assert code == 0
    assert "Answers without a score, which the gate does not watch: 1." in err
    assert "workbench eval --retry-failed" in err
