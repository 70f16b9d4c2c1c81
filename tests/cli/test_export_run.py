"""`workbench export RUN`: the results of a run as CSV, Parquet, JUnit, Every Eval Ever and reports."""

from __future__ import annotations

import csv
import io
import json
from xml.etree import ElementTree

import pytest

BENCH = """\
variants:
  - {name: plain, prompt: ask, model: desk.script.json}
dataset: {path: rows.jsonl}
scorers: [exact_match]
"""


@pytest.fixture
def run(folder, call):
    rows = [{"message": f"message {number}", "expected": "Lantern"} for number in range(1, 4)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "my.bench.yaml").write_text(BENCH)
    call("eval", "my.bench.yaml")
    return json.loads(call("runs", "--json")[1])["runs"][0]["id"]


def test_a_run_goes_to_stdout_in_the_format_asked_for(call, run):
    code, out, _ = call("export", "last", "--as", "csv")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["score.exact_match"] for row in rows] == ["1.0"] * 3
    _, out, _ = call("export", run, "--format", "junit")
    assert len(ElementTree.fromstring(out).findall(".//testcase")) == 3
    _, out, _ = call("export", run[:5], "--as", "json")
    assert json.loads(out)["run"] == run
    _, out, _ = call("export", run, "--as", "eee")
    assert json.loads(out)["schema_version"] == "0.3.0"


def test_a_run_is_written_under_the_name_that_is_given_or_its_own(call, run, folder):
    from pyarrow import parquet

    _, out, _ = call("export", "last", "--as", "parquet", "--out", "tables")
    (path,) = (folder / "tables").iterdir()
    assert path.name == f"my-{run}.parquet" and path.name in out
    assert parquet.read_table(path).num_rows == 3
    call("export", "last", "--as", "markdown", "--out", "own.md")
    assert "exact match" in (folder / "own.md").read_text()
    code, _, err = call("export", "last", "--as", "markdown", "--out", "own.md")
    assert code == 2 and "exists already" in err


def test_every_eval_ever_in_a_folder_has_records_and_samples(call, run, folder):
    _, out, _ = call("export", "last", "--as", "eee", "--out", "records", "--json")
    written = json.loads(out)["written"]
    assert len(written) == 2
    assert {path.name[36:] for path in (folder / "records/data/my").glob("*/*/*")} == {".json", "_samples.jsonl"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing", "--as", "csv"), "nothing"),
        (("last", "--as", "csv", "--json"), "--out"),
        (("last", "--as", "xlsx"), "No such format"),
    ],
)
def test_what_cannot_be_exported_is_refused(call, run, words, said):
    code, out, err = call("export", *words)
    assert code == 2 and said in err and not out
