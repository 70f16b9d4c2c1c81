from __future__ import annotations

import contextlib
import json
import sqlite3

import pytest

BENCH = """\
variants:
  - {name: plain, prompt: ask, model: desk.script.json}
  - {name: kind, prompt: kind, model: desk.script.json}
dataset: {path: rows.jsonl}
scorers: [exact_match]
"""


@pytest.fixture
def sharded(folder):
    rows = [{"message": f"message {number}", "expected": "Lantern"} for number in range(1, 9)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "my.bench.yaml").write_text(BENCH)
    return folder


def strip_times(result: dict) -> object:
    """A result as `--json` prints it, without what no two runs have in common."""
    dropped = {"run", "latency", "tokens_per_second"}

    def strip(value: object) -> object:
        if isinstance(value, dict):
            return {key: strip(held) for key, held in value.items() if key not in dropped and "latency" not in key}
        return [strip(one) for one in value] if isinstance(value, list) else value

    return strip(result)


def test_shards_are_run_and_merged_and_give_the_results_of_one_machine(call, sharded):
    _, whole, _ = call("eval", "my.bench.yaml", "--json")
    for number in (1, 2, 3):
        code, _, err = call("eval", "my.bench.yaml", "--shard", f"{number}/3")
        assert code == 0
        assert f"shard {number}/3 of 2 variants x 8 cases" in err
        assert f"my.{number}-of-3.sqlite" in err
    files = sorted(path.name for path in sharded.glob("*.sqlite"))
    assert files == ["my.1-of-3.sqlite", "my.2-of-3.sqlite", "my.3-of-3.sqlite"]
    code, merged, err = call("runs", "merge", *files, "--json")
    assert code == 0
    assert "my.2-of-3.sqlite" in err
    assert "shard 2/3): 5 cells" in err
    assert "16 of 16 cells." in err
    assert strip_times(json.loads(merged)) == strip_times(json.loads(whole))


def test_a_missing_shard_is_named_and_its_cells_are_run_when_the_merged_run_is_resumed(call, sharded):
    for number in (1, 3):
        call("eval", "my.bench.yaml", "--shard", f"{number}/3", "--store", f"part{number}.sqlite")
    code, _, err = call("runs", "merge", "part1.sqlite", "part3.sqlite")
    assert code == 1
    assert "Shard 2/3 is missing." in err
    assert "11 of 16 cells." in err
    code, out, _ = call("eval", "--resume", "last", "--json")
    assert code == 0
    assert [variant["n"] for variant in json.loads(out)["variants"]] == [8, 8]


def test_a_shard_that_is_started_again_with_resume_continues_and_a_finished_one_is_only_shown(call, sharded):
    again = ("eval", "my.bench.yaml", "--shard", "1/2", "--resume", "--limit", "6")
    assert call(*again)[0] == 0  # nothing was begun: it begins
    code, _, err = call(*again)
    assert code == 0
    assert "6 done" in err
    _, out, _ = call("runs", "--store", "my.1-of-2.sqlite", "--json")
    assert len(json.loads(out)["runs"]) == 1


def test_a_shard_of_a_bench_that_has_changed_is_not_continued(call, sharded):
    call("eval", "my.bench.yaml", "--shard", "1/2", "--store", "one.sqlite")
    code, _, err = call("eval", "my.bench.yaml", "--shard", "2/2", "--resume", "--store", "one.sqlite")
    assert code == 2
    assert "one.sqlite has shard 1/2, not shard 2/2" in err
    (sharded / "my.bench.yaml").write_text(BENCH.replace("exact_match", "contains"))
    code, _, err = call("eval", "my.bench.yaml", "--shard", "1/2", "--resume", "--store", "one.sqlite")
    assert code == 2
    assert "has changed since shard 1/2 was begun" in err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("eval", "my.bench.yaml", "--shard", "4/3"), "expected N/M"),
        (("eval", "my.bench.yaml", "--shard", "1/99"), "Use 16 shards at most"),
        (("runs", "merge"), "Expected the runs to merge"),
        (("runs", "merge", "nowhere.sqlite"), "No such file: nowhere.sqlite"),
        (("runs", "merge", "nothing"), "No run in the store is called 'nothing'"),
        (("runs", "merge", "last", "--pin"), "merge takes --note alone"),
        (("runs", "one", "two"), "Expected one run, found 2"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(call, sharded, arguments, complaint):
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert complaint in err


def test_a_part_named_twice_and_a_store_of_several_runs_are_refused(call, sharded):
    for limit in (2, 3):
        call("eval", "my.bench.yaml", "--limit", limit, "--store", "both.sqlite")
    code, _, err = call("runs", "merge", "both.sqlite")
    assert code == 2
    assert "both.sqlite has several runs" in err
    _, out, _ = call("runs", "--store", "both.sqlite", "--json")
    first, second = (run["id"] for run in json.loads(out)["runs"])
    code, _, err = call("runs", "merge", f"both.sqlite:{first}", f"both.sqlite:{first}")
    assert code == 2
    assert "is named twice" in err
    code, _, err = call("runs", "merge", f"both.sqlite:{first}", f"both.sqlite:{second}")
    assert code == 2
    assert "`dataset` of the bench differ" in err


def test_a_file_that_is_no_store_is_refused_and_left_as_it_is(call, sharded):
    note, other = sharded / "note.sqlite", sharded / "other.sqlite"
    note.write_text("not a database at all, but a note that somebody wrote")
    with contextlib.closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE birds (name TEXT)")
    before = other.read_bytes()
    for arguments in (("runs", "merge", "note.sqlite"), ("eval", "my.bench.yaml", "--store", "note.sqlite")):
        code, _, err = call(*arguments)
        assert code == 2
        assert "note.sqlite is not a store of runs" in err
    assert call("runs", "--store", "other.sqlite")[0] == 2
    assert note.read_text().startswith("not a database")
    assert other.read_bytes() == before
