from __future__ import annotations

import json
import os
import signal
import time

import pytest

from workbench import paths
from workbench.runs.view import RunView
from workbench.store.runs import list_runs
from workbench.store.store import Store

ROWS = [{"message": f"message {number}", "expected": "Lantern"} for number in range(1, 7)]
BENCH = """\
variants:
  - {name: plain, prompt: ask, model: desk.script.json}
  - {name: kind, prompt: kind, model: desk.script.json}
dataset: {path: rows.jsonl}
scorers: [exact_match, contains]
"""


@pytest.fixture
def rows(folder):
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    (folder / "all.bench.yaml").write_text(BENCH)
    return folder


@pytest.fixture
def store(folder):
    store = Store(paths.data_folder() / "workbench.sqlite")
    yield store
    store.close()


def test_the_json_has_the_promised_shape(call, rows):
    code, out, err = call("eval", "all.bench.yaml", "--json")
    assert code == 0
    told = json.loads(out)
    assert list(told)[:3] == ["run", "variants", "pairs"]
    first = told["variants"][0]
    assert (first["name"], first["n"]) == ("plain", 6)
    assert set(first["scores"]["exact_match"]) == {"value", "low", "high", "n"}
    assert first["scores"]["exact_match"]["value"] == 1.0
    pair = told["pairs"][0]
    assert {"a", "b", "metric", "difference", "low", "high", "p", "verdict"} <= set(pair)
    assert (pair["a"], pair["b"], pair["difference"], pair["verdict"]) == ("plain", "kind", -1.0, "worse")
    assert "12 cells: 2 variants x 6 cases" in err


def test_the_table_says_which_is_better_and_progress_stays_off_stdout(call, rows):
    code, out, err = call("eval", "all.bench.yaml")
    assert code == 0
    assert "plain has the best value" in out
    assert "cells" in err
    assert "12/12" not in out


@pytest.mark.parametrize(
    ("options", "cells"),
    [
        (("--limit", 2), {("plain", 1), ("plain", 2), ("kind", 1), ("kind", 2)}),
        (("--variant", "kind", "--case", "2,4-5"), {("kind", 2), ("kind", 4), ("kind", 5)}),
        (("--sample", 1, "--variant", "plain", "--repeats", 2), None),
    ],
)
def test_a_part_of_the_bench_can_be_run(call, rows, store, options, cells):
    code, _, _ = call("eval", "all.bench.yaml", *options)
    assert code == 0
    found = [(cell.variant, cell.case) for cell in RunView(store, "last").cells()]
    assert set(found) == cells if cells else len(found) == 2 and len(set(found)) == 1


def test_names_and_notes_stay_with_the_run(call, rows, store):
    call("eval", "all.bench.yaml", "--limit", 1, "--name", "first", "--note", "just trying")
    (run,) = list_runs(store)
    assert (run.bench, run.note, run.state) == ("first", "just trying", "finished")


def test_a_plan_does_nothing(call, rows, store):
    code, out, err = call("eval", "all.bench.yaml", "--dry-run")
    assert (code, out) == (0, "")
    assert "12 cells" in err
    assert list_runs(store) == []


def test_what_is_known_is_told_and_not_asked_again(call, rows, store):
    call("eval", "all.bench.yaml")
    _, _, err = call("eval", "all.bench.yaml")
    assert "12 cached" in err
    assert list_runs(store)[0].cached == 12
    call("eval", "all.bench.yaml", "--no-cache")
    assert list_runs(store)[0].cached == 0


@pytest.mark.parametrize(
    ("thresholds", "code", "said"),
    [
        ("{exact_match: {min: 0.9, variant: plain}}", 0, ""),
        ("{exact_match: {min: 0.9}}", 1, "Threshold missed: exact_match of kind: expected at least 0.9, found 0"),
        (
            "{contains: [{min: 1}, {max: 0.5, variant: kind}]}",
            1,
            "Threshold missed: contains of kind: expected at most 0.5",
        ),
        ("{failed: {max: 0}}", 0, ""),
        ("{bleu: {min: 0.9}}", 2, "nothing is called 'bleu'"),
        ("{exact_match: {min: 0.9, variant: nobody}}", 2, "no variant is named 'nobody'"),
        ("{exact_match: {}}", 2, "expected min or max"),
    ],
)
def test_thresholds_decide_the_exit_code(call, rows, thresholds, code, said):
    (rows / "all.bench.yaml").write_text(f"{BENCH}thresholds: {thresholds}\n")
    found, _, err = call("eval", "all.bench.yaml")
    assert found == code
    assert said in err


def test_failed_cells_are_told_and_run_again_on_demand(call, rows, store):
    code, _, err = call("eval", "demo.bench.yaml", "--case", "3-4")
    assert code == 1
    assert "2 cells failed" in err
    run = list_runs(store)[0].id
    assert f"--retry-failed {run}" in err
    assert "  plain, case 4: It fell." in err
    assert "  kind, case 4: It fell." in err
    script = json.loads((rows / "desk.script.json").read_text())
    code, _, err = call("eval", "--retry-failed", run)
    assert code == 1
    assert "4 cells: 2 variants x 2 cases; 2 done" in err
    assert len(script["rules"]) > 1


def test_one_cell_is_asked_again_and_the_answer_held_against_the_old_one(call, rows):
    call("eval", "all.bench.yaml")
    code, out, err = call("eval", "--rerun", "last", "--case", 2, "--variant", "kind")
    assert (code, out) == (0, "Lantern, of course\n")
    assert "The same answer" in err
    code, _, err = call("eval", "--rerun", "last", "--case", 2)
    assert code == 2
    assert "expected a case and a variant" in err


def wait_for_cells(store: Store, count: int) -> str:
    """The id of the newest run, once it has so many cells."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        runs = list_runs(store)
        if runs and runs[0].done >= count:
            return runs[0].id
        time.sleep(0.01)
    raise AssertionError("the run did not come so far")


@pytest.fixture
def slow(rows):
    """A model that takes a moment for each answer."""
    script = {"rules": [{"reply": "Lantern"}], "pace": "real", "first_token_seconds": 0.02, "context_tokens": 1000}
    (rows / "desk.script.json").write_text(json.dumps(script))
    many = [{"message": f"message {number}", "expected": "Lantern"} for number in range(1, 121)]
    (rows / "rows.jsonl").write_text("\n".join(map(json.dumps, many)))
    return rows


def test_a_killed_run_goes_on_where_it_was(slow, start, call, store):
    process = start("eval", "all.bench.yaml", "--concurrency", 4)
    run = wait_for_cells(store, 20)
    process.kill()
    process.communicate(timeout=60)
    kept = {(cell.variant, cell.case) for cell in RunView(store, run).cells()}
    assert 20 <= len(kept) < 240
    _, out, _ = call("runs")
    assert "interrupted" in out
    code, _, err = call("eval", "--resume", "--concurrency", 64)
    assert code == 0
    assert f"{len(kept)} done" in err
    view = RunView(store, run)
    assert (view.run.done, view.run.failed, view.run.state, view.run.cached) == (240, 0, "finished", 0)


def test_an_interrupt_ends_it_cleanly_and_says_how_to_go_on(slow, start, store):
    process = start("eval", "all.bench.yaml", "--concurrency", 2)
    run = wait_for_cells(store, 6)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == b""
    assert f"workbench eval --resume {run}" in err.decode()
    assert b"Traceback" not in err
    assert list_runs(store)[0].state == "stopped"


@pytest.mark.parametrize(
    ("dataset", "content", "said"),
    [
        ("rows.jsonl", "", "rows.jsonl"),
        ("rows.jsonl", '{"message": "x"}\n{"message": \n', "line 2"),
        ("none.jsonl", None, "none.jsonl"),
        ("rows.jsonl, columns: {message: mesage}", '{"message": "x"}', "mesage"),
    ],
)
def test_a_dataset_that_cannot_be_used_is_told_before_anything_runs(call, rows, store, dataset, content, said):
    if content is not None:
        (rows / "rows.jsonl").write_text(content)
    (rows / "all.bench.yaml").write_text(BENCH.replace("rows.jsonl", dataset))
    code, out, err = call("eval", "all.bench.yaml")
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert list_runs(store) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("all.bench.yaml", "--variant", "nobody"), "plain, kind"),
        (("all.bench.yaml", "--case", "x"), "Expected a number"),
        (("all.bench.yaml", "--case", "77"), "no such case"),
        (("all.bench.yaml", "--json", "--csv"), "Only one of"),
        (("--resume", "zzz"), "called 'zzz'"),
        (("--resume",), "All runs are finished"),
        (("--resume", "--limit", "3"), "only apply to a new run"),
    ],
)
def test_wrong_usage_is_told_in_words(call, rows, arguments, said):
    code, out, err = call("eval", *arguments)
    assert (code, out) == (2, "")
    assert said in err


def test_a_store_of_a_newer_workbench_is_left_alone(call, rows):
    import sqlite3

    path = paths.data_folder() / "workbench.sqlite"
    call("runs")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    code, _, err = call("eval", "all.bench.yaml")
    assert code == 2
    assert "newer workbench" in err


def test_cells_come_as_csv_and_results_as_markdown_and_files(call, rows):
    _, out, _ = call("eval", "all.bench.yaml", "--csv")
    assert len(out.splitlines()) == 13
    _, out, _ = call("eval", "all.bench.yaml", "--markdown")
    assert out.startswith("# all")
    _, _, err = call("eval", "all.bench.yaml", "--report", "out.html", "--report", "out.parquet")
    assert err.count("Wrote") == 2
    assert (rows / "out.html").read_text().startswith("<!")
    assert (rows / "out.parquet").read_bytes()[:4] == b"PAR1"


def test_progress_in_a_log_is_lines_and_on_a_terminal_one_that_moves(slow, start, store):
    import pty

    parent, child = pty.openpty()
    process = start("eval", "all.bench.yaml", "--concurrency", 2, stderr=child)
    os.close(child)
    seen = b""
    while True:
        try:
            piece = os.read(parent, 65536)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    process.communicate(timeout=60)
    os.close(parent)
    assert process.returncode == 0
    assert b"\r[" in seen
    assert b"240/240 cells" in seen
    assert b"/s" in seen


def test_a_threshold_on_a_variant_that_is_not_run_spoils_nothing(call, rows, store):
    limits = "thresholds: {exact_match: {min: 0.1, variant: kind}, failed: {max: 0}}\n"
    (rows / "all.bench.yaml").write_text(BENCH + limits)
    code, _, err = call("eval", "all.bench.yaml", "--variant", "plain", "--json")
    assert (code, err.count("Missed")) == (0, 0), err
    code, out, err = call("runs", "last", "--json")
    assert code == 0, err
    assert "exact_match" in out
    assert RunView(store, "last").bench.thresholds.keys() == {"failed"}


def test_a_run_stays_readable_when_its_bench_is_not(call, rows, store):
    call("eval", "all.bench.yaml")
    with store.write() as connection:
        connection.execute("UPDATE runs SET text = 'variants: {what: is this}'")
    code, out, err = call("runs", "last", "--json")
    assert code == 0, err
    assert "Thresholds and values of the whole dataset are missing." in out
    assert json.loads(out)["variants"][0]["scores"]["exact_match"]["n"] == 6


def test_a_run_is_gone_on_with_by_the_options_that_it_was_begun_with(call, rows, store):
    call("eval", "all.bench.yaml")
    call("eval", "all.bench.yaml", "--no-cache", "--concurrency", "3")
    with store.write() as connection:
        key = RunView(store, "last").run.key
        connection.execute("UPDATE runs SET state = 'stopped', done = done - 1 WHERE key = ?", (key,))
        connection.execute("DELETE FROM cells WHERE run = ? AND number = 2 AND variant = 0", (key,))
    code, _, err = call("eval", "--resume")
    assert code == 0, err
    view = RunView(store, "last")
    assert view.run.key == key
    assert view.run.cached == 0


def test_rows_that_are_left_out_and_what_is_not_used_stand_in_the_run(call, rows, store):
    text = "message,expected,__expected\nHi,Lantern,llm-rubric: kind\nbroken\nHo,Lantern,\n"
    (rows / "rows.csv").write_text(text)
    dataset = "dataset: {path: rows.csv, on_error: skip, layout: promptfoo}"
    (rows / "all.bench.yaml").write_text(BENCH.replace("dataset: {path: rows.jsonl}", dataset))
    code, out, err = call("eval", "all.bench.yaml")
    assert code in (0, 1)
    left_out = "1 row cannot be read and is left out of the dataset; first line 3: 1 column, but the header has 3."
    assert left_out in " ".join(err.split())
    (run,) = list_runs(store)
    view = RunView(store, run.id)
    assert view.warnings[0] == left_out
    assert "promptfoo's assertion llm-rubric is not used" in view.warnings[1]
    assert left_out in " ".join(out.split())
