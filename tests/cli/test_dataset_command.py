from __future__ import annotations

import json

import pytest

ROWS = "id,body,queue\n1,Where is it?,Lantern\n2,I paid twice.,Abacus\n3,It broke.,Harbour\n"


@pytest.fixture
def table(folder):
    (folder / "rows.csv").write_text(ROWS)
    return folder / "rows.csv"


def test_a_file_is_shown_with_what_its_columns_become(call, table):
    code, out, err = call("dataset", table, "--column", "message=body", "--expected", "queue")
    assert (code, err) == (0, "")
    assert "csv, 3 rows" in out
    lines = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert "{{ message }}" in lines["body"]
    assert "Where is it?" in lines["body"]
    assert "the expected answer" in lines["queue"]


def test_rows_are_chosen_as_a_bench_would(call, table):
    code, out, _ = call("dataset", table, "--where", "queue=Abacus", "--where", "queue=Harbour", "--json")
    told = json.loads(out)
    assert (code, told["rows"], told["chosen"], told["error"]) == (0, 3, 2, None)


def test_a_bench_may_stand_for_its_dataset(call, folder):
    code, out, _ = call("dataset", "demo.bench.yaml", "--limit", "2", "--json")
    told = json.loads(out)
    assert (code, told["format"], told["chosen"]) == (0, "jsonl", 2)


def test_training_rows_among_the_cases_are_shown_and_are_exit_code_one(call, table, folder):
    (folder / "train.csv").write_text("id,body\n9,where is it\n")
    code, out, _ = call("dataset", table, "--train", "train.csv")
    assert code == 1
    assert "row 1" in out
    assert "where is it" in out
    (folder / "train.csv").write_text("id,body\n9,Nothing like that at all\n")
    code, out, _ = call("dataset", table, "--train", "train.csv")
    assert (code, "No contamination: no example or training row is among the cases." in out) == (0, True)


def test_what_was_decided_about_a_file_is_said(call, folder):
    (folder / "semi.csv").write_text("frage;expected\n1,5;x\n")
    code, out, _ = call("dataset", "semi.csv")
    assert (code, "Fields are separated by semicolons." in out) == (0, True)
    code, out, _ = call("dataset", "semi.csv", "--json")
    assert json.loads(out)["remarks"] == ["Fields are separated by semicolons."]


def test_rows_that_cannot_be_read_are_counted(call, folder):
    (folder / "a.jsonl").write_text('{"a": 1}\nbroken\nbroken\n')
    code, out, _ = call("dataset", "a.jsonl")
    assert (code, "3 rows, 2 of them cannot be read" in out) == (2, True)
    code, out, _ = call("dataset", "a.jsonl", "--json")
    assert (json.loads(out)["unreadable"], json.loads(out)["skipped"]) == (2, 0)


def test_what_is_wrong_is_told_and_is_exit_code_two(call, table):
    table.write_text(table.read_text() + "4,too,many,cells\n")
    code, out, err = call("dataset", table)
    assert code == 2
    assert "csv" in out
    assert "line 5: 4 columns, but the header has 3" in err
    code, out, err = call("dataset", table, "--skip")
    assert (code, "1 skipped" in out) == (0, True)
    assert "skipped: line 5" in err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--where", "queue"], "--where queue is incomplete"),
        (["--column", "=x"], "--column =x is incomplete"),
        (["--format", "exel"], "No such dataset format: exel"),
        (["--layout", "exel"], "No such dataset layout: exel"),
    ],
)
def test_options_that_make_no_sense_say_what_is_expected(call, table, given, said):
    code, _, err = call("dataset", table, *given)
    assert (code, said in err, "Expected" in err) == (2, True, True)


def test_a_prompt_is_looked_for_where_the_bench_looks(call, folder):
    mine = folder / "mine"
    mine.mkdir()
    (mine / "cases.jsonl").write_text('{"message": "Where is it?", "expected": "Lantern"}\n')
    (mine / "ask.prompty").write_text("---\nname: ask\n---\nuser:\n{{ message }}\n")
    bench = "dataset: {path: cases.jsonl}\nscorers: [exact_match]\nvariants: [{name: a, prompt: ask, model: desk}]\n"
    (mine / "my.bench.yaml").write_text(bench)
    code, out, err = call("dataset", mine / "my.bench.yaml", "--prompt", "ask")
    assert (code, err) == (0, "")
    assert "No contamination: no example or training row is among the cases." in out
