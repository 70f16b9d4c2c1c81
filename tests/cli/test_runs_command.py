from __future__ import annotations

import json

import pytest

BENCH = """\
variants:
  - {name: plain, prompt: ask, model: desk.script.json}
dataset: {path: rows.jsonl}
scorers: [exact_match]
"""


@pytest.fixture
def runs(folder, call):
    """Three runs, the oldest first; the model answers worse in the last one."""
    rows = [{"message": f"message {number}", "expected": "Lantern"} for number in range(1, 9)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "my.bench.yaml").write_text(BENCH)
    call("eval", "my.bench.yaml", "--limit", 4)
    call("eval", "my.bench.yaml")
    (folder / "desk.script.json").write_text(json.dumps({"rules": [{"reply": "Harbour"}], "context_tokens": 1000}))
    call("eval", "my.bench.yaml", "--note", "other rules")
    _, out, _ = call("runs", "--json")
    return [run["id"] for run in reversed(json.loads(out)["runs"])]


def test_runs_are_listed_with_the_newest_first(call, runs):
    code, out, _ = call("runs")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines() if line.split() and line.split()[0] in runs] == runs[::-1]
    assert "other rules" in out
    assert "finished" in out
    assert out.count("plain 1.00") == 2
    assert out.count("plain 0.00") == 1


def test_scores_are_read_for_the_latest_runs_and_that_is_said(call, runs, monkeypatch):
    monkeypatch.setattr("workbench.cli.runs._SCORED", 1)
    _, out, err = call("runs")
    assert (out.count("plain 1.00"), out.count("plain 0.00")) == (0, 1)
    assert "Scores are shown for the latest 1 run" in err
    scores = [run["scores"] for run in json.loads(call("runs", "--json")[1])["runs"]]
    assert scores == [{"plain": 0.0}, {}, {}]


def test_a_run_is_shown_by_id_and_by_age_in_every_form(call, runs):
    code, out, err = call("runs", runs[1])
    assert code == 0
    assert "exact match 1.00" in out
    assert runs[1] in err
    _, out, _ = call("runs", "last~2", "--json")
    assert json.loads(out)["run"] == runs[0]
    _, out, _ = call("runs", "last", "--csv")
    assert len(out.splitlines()) == 9


def test_a_run_is_pinned_noted_renamed_and_found_as_the_baseline(call, runs):
    call("runs", runs[0], "--pin", "--note", "a start", "--rename", "first")
    _, out, _ = call("runs", "--json")
    (found,) = [run for run in json.loads(out)["runs"] if run["pinned"]]
    assert (found["id"], found["note"], found["bench"]) == (runs[0], "a start", "first")
    _, _, err = call("runs", "baseline")
    assert "a start" in err
    call("runs", "baseline", "--unpin")
    code, _, err = call("runs", "baseline")
    assert code == 2
    assert "--pin" in err


def test_a_deleted_run_lies_in_the_trash_until_that_is_emptied(call, runs):
    call("runs", runs[0], "--delete")
    _, out, _ = call("runs")
    assert runs[0] not in out
    _, out, _ = call("runs", "--trash")
    assert runs[0] in out
    call("runs", runs[0], "--restore")
    _, out, _ = call("runs")
    assert runs[0] in out
    call("runs", runs[0], "--delete")
    _, _, err = call("runs", "--empty-trash")
    assert runs[0] in err
    assert call("runs", runs[0], "--restore")[0] == 2
    assert call("runs", runs[1])[0] == 0


def test_a_change_needs_a_run(call, runs):
    code, _, err = call("runs", "--delete")
    assert code == 2
    assert "Expected a run" in err


def test_nothing_was_run_yet(call):
    code, out, err = call("runs")
    assert (code, out) == (0, "")
    assert "workbench eval" in err


def test_two_runs_are_held_against_each_other(call, runs):
    code, out, _ = call("diff", runs[1], "last", "--cases", 2)
    assert code == 1
    assert "8 broken" in out
    assert "broken by plain: case 1 (message 1): 'Lantern' → 'Harbour', expected 'Lantern'" in out
    assert "and 6 more broken" in out
    code, out, _ = call("diff", "last", runs[0], "--json")
    found = json.loads(out)
    assert code == 0
    assert [len(found["variants"][0][kind]) for kind in ("fixed", "broken")] == [4, 0]


def test_runs_that_cannot_be_compared_are_told(call, runs):
    code, _, err = call("diff")
    assert code == 2
    assert "--pin" in err
    code, _, err = call("diff", "last~1", "last", "--metric", "bleu")
    assert code == 2
    assert "bleu" in err
