from __future__ import annotations

import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from workbench.datasets import load_cases
from workbench.datasets.spec import Dataset
from workbench.errors import DatasetError

ROWS = [{"text": f"row {n}", **({"origin": "synthetic"} if n in (2, 5) else {})} for n in range(6)]


@pytest.fixture
def folder(tmp_path):
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    for name in ("train.jsonl", "test.jsonl", "cases.jsonl"):
        (tmp_path / name).write_text(lines)
    parquet.write_table(pa.Table.from_pylist([{"origin": None, **row} for row in ROWS]), tmp_path / "cases.parquet")
    return tmp_path


def numbers(folder, name, **choices):
    return [case.number for case in load_cases(Dataset(name, **choices), folder)]


@pytest.mark.parametrize("name", ["test.jsonl", "cases.jsonl", "cases.parquet"])
def test_synthetic_rows_are_left_out_counted_and_said(folder, name):
    cases = load_cases(Dataset(name), folder)
    assert [case.number for case in cases] == [1, 2, 4, 5]
    assert cases.synthetic_left_out == 2
    assert cases.left_out[0].startswith("2 synthetic rows are left out")


def test_a_training_split_has_them(folder):
    assert numbers(folder, "train.jsonl") == [1, 2, 3, 4, 5, 6]
    assert numbers(folder, "test.jsonl", split="train") == [1, 2, 3, 4, 5, 6]
    assert numbers(folder, "train.jsonl", synthetic="exclude") == [1, 2, 4, 5]


def test_they_can_be_asked_for(folder):
    assert numbers(folder, "test.jsonl", synthetic="include") == [1, 2, 3, 4, 5, 6]
    assert numbers(folder, "test.jsonl", synthetic="only") == [3, 6]


def test_their_mark_is_known_where_columns_are_chosen(folder):
    cases = load_cases(Dataset("test.jsonl", columns={"input": "text"}, synthetic="include"), folder)
    assert [case.variables.get("origin", "") for case in cases] == ["", "", "synthetic", "", "", "synthetic"]


def test_a_file_of_nothing_else_is_no_evaluation(folder):
    (folder / "all.jsonl").write_text('{"text": "a", "origin": "synthetic"}\n')
    with pytest.raises(DatasetError, match=r"Every row of .* is synthetic"):
        load_cases(Dataset("all.jsonl"), folder)
    with pytest.raises(DatasetError, match="has no synthetic row"):
        (folder / "none.jsonl").write_text('{"text": "a"}\n')
        load_cases(Dataset("none.jsonl", synthetic="only"), folder)
