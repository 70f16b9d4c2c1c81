from __future__ import annotations

import json

import pytest

TEXTS = ["A fox ran off with it", "Two bicycles and a goat", "Rye bread, three loaves"]
REPLIES = [json.dumps({"message": text, "expected": "Lantern"}) for text in TEXTS]


@pytest.fixture
def writer(folder):
    """A scripted model that writes one row or another, by the seed of the call."""
    script = {"rules": [{"reply": [REPLIES[0], *REPLIES]}], "context_tokens": 100_000}
    (folder / "writer.script.json").write_text(json.dumps(script))
    return folder


def synthesize(call, *arguments):
    return call("synthesize", "cases.jsonl", "--model", "writer.script.json", "--no-schema", *arguments)


def test_rows_are_written_counted_and_accepted(writer, call):
    code, out, err = synthesize(call, "-n", 3, "--accept-all", "--max-calls", 60)
    assert code == 0, out + err
    assert "3 accepted" in out
    assert "dropped: like another new row" in out
    rows = [json.loads(line) for line in (writer / "synthetic-cases.jsonl").read_text().splitlines()]
    assert sorted(row["message"] for row in rows) == sorted(TEXTS)
    assert {row["origin"] for row in rows} == {"synthetic"}
    assert "There is no training split" in err


def test_without_accept_all_the_rows_wait_for_a_review(writer, call):
    code, out, _ = synthesize(call, "-n", 5, "--max-calls", 20, "--json")
    assert code == 1  # the model knows only three
    found = json.loads(out)
    assert (found["rows"], found["accepted"], found["undecided"]) == (3, 0, 3)
    assert found["dropped"] == {"repeated": 17}
    assert found["ended_early"] == "3 of 5 rows after 20 calls, the most that are made"
    assert not (writer / "synthetic-cases.jsonl").exists()
    code, out, _ = call("synthesize", "--review", "synthetic-cases.review.jsonl", "--accept-all")
    assert code == 1
    assert "3 accepted" in out


def test_what_is_there_already_is_named(writer, call):
    synthesize(call, "-n", 1)
    code, _, err = synthesize(call, "-n", 1)
    assert code == 2
    assert "is there already" in err
    assert "--review" in err


def test_labels_that_are_none_cannot_be_balanced(writer, call):
    rows = "".join(
        json.dumps({"message": f"m {n}", "expected": f"a long answer of its own {n}"}) + "\n" for n in range(9)
    )
    (writer / "cases.jsonl").write_text(rows)
    code, _, err = synthesize(call, "--balance")
    assert code == 2
    assert "no labels to balance" in err


def test_an_evaluation_says_what_it_leaves_out_and_reports_apart_what_it_is_told_to_count(writer, call):
    synthesize(call, "-n", 2, "--accept-all")
    added = (writer / "synthetic-cases.jsonl").read_text()
    (writer / "cases.jsonl").write_text((writer / "cases.jsonl").read_text() + "\n" + added)
    _, out, _ = call("eval", "demo.bench.yaml", "--variant", "plain", "--json")
    assert "2 synthetic rows are left out" in out
    bench = (writer / "demo.bench.yaml").read_text()
    (writer / "demo.bench.yaml").write_text(bench.replace("cases.jsonl}", "cases.jsonl, synthetic: include}"))
    _, out, _ = call("eval", "demo.bench.yaml", "--variant", "plain", "--json")
    slices = json.loads(out)["slices"][0]
    assert slices["column"] == "origin"
    assert {one["value"]: one["cases"] for one in slices["slices"]} == {"not synthetic": 4, "synthetic": 2}
