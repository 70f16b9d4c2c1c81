from __future__ import annotations

import csv
import json
import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from workbench import files
from workbench.datasets import load_cases
from workbench.datasets.spec import Dataset
from workbench.errors import DatasetError

ROWS = [{"n": str(n), "level": n % 3, "tag": "odd" if n % 2 else None} for n in range(1, 31)]


@pytest.fixture
def rows(tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return tmp_path


def numbers(folder, name="a.jsonl", **choices):
    return [case.number for case in load_cases(Dataset(name, **choices), folder)]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"level": 1}, [n for n in range(1, 31) if n % 3 == 1]),
        ({"level": "1"}, [n for n in range(1, 31) if n % 3 == 1]),
        ({"level": (1, 2.0)}, [n for n in range(1, 31) if n % 3]),
        ({"tag": None}, list(range(2, 31, 2))),
        ({"tag": "odd", "level": 0}, [3, 9, 15, 21, 27]),
    ],
)
def test_rows_are_chosen_by_their_values_and_keep_their_numbers(rows, where, expected):
    assert numbers(rows, where=where) == expected


@pytest.mark.parametrize(
    ("where", "typed", "plain"),
    [  # rows of a JSON file and of a CSV file: where a file has no types, a text is what it reads as
        ({"flag": True}, [1], [1, 2, 4]),
        ({"flag": "true"}, [1, 2], [1, 2]),
        ({"flag": False}, [3], [3]),
        ({"n": 1}, [1], [1, 2, 3]),
        ({"n": 1.0}, [1], [1, 2, 3]),
        ({"n": "1"}, [1, 2], [1, 2]),
        ({"n": 9007199254740993}, [4], [4]),
        ({"n": 9007199254740992}, [], []),
        ({"n": (1, True)}, [1], [1, 2, 3]),
    ],
)
def test_values_are_compared_with_their_types(tmp_path, where, typed, plain):
    rows = [{"flag": True, "n": 1}, {"flag": "true", "n": "1"}, {"flag": False, "n": "1.0"}]
    rows.append({"flag": "True", "n": 9007199254740993})
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "a.csv").write_text("flag,n\ntrue,1\ntrue,1\nfalse,1.0\nTrue,9007199254740993\n")
    for name, wanted in (("a.jsonl", typed), ("a.csv", plain)):
        if wanted:
            assert numbers(tmp_path, name, where=where) == wanted
        else:
            with pytest.raises(DatasetError, match="has no row with"):
                numbers(tmp_path, name, where=where)


@pytest.mark.parametrize("text", ["1_0", "nan", "inf", "1e9999", "0x10", "１０", ""])
def test_what_only_python_takes_for_a_number_is_none(tmp_path, text):
    (tmp_path / "a.csv").write_text(f"n,m\n{text},x\n")
    with pytest.raises(DatasetError, match="has no row with"):
        numbers(tmp_path, "a.csv", where={"n": 10})


def test_what_no_row_has_is_told(rows):
    with pytest.raises(DatasetError, match="has no row with level: 7"):
        load_cases(Dataset("a.jsonl", where={"level": 7}), rows)
    with pytest.raises(DatasetError, match="no column levl; did you mean level"):
        load_cases(Dataset("a.jsonl", where={"levl": 7}), rows)


def test_a_sample_depends_on_its_seed_alone_and_keeps_the_order(rows):
    drawn = numbers(rows, sample=8, seed=3)
    assert drawn == sorted(set(drawn))
    assert len(drawn) == 8
    assert drawn == numbers(rows, sample=8, seed=3) != numbers(rows, sample=8, seed=4)
    assert numbers(rows, sample=8, seed=3, limit=2) == drawn[:2]
    assert numbers(rows, sample=99) == list(range(1, 31))


def test_with_a_limit_nothing_beyond_it_is_read(rows):
    with (rows / "a.jsonl").open("a") as stream:
        stream.write("broken\n")
    assert numbers(rows, limit=3) == [1, 2, 3]
    with pytest.raises(DatasetError, match="line 31"):
        load_cases(Dataset("a.jsonl", sample=3), rows)


def test_cases_are_found_by_number_and_by_place(rows):
    cases = load_cases(Dataset("a.jsonl", where={"level": 1}), rows)
    assert list(cases.numbers) == [1, 4, 7, 10, 13, 16, 19, 22, 25, 28]
    assert cases.find(7) == cases[2]
    assert cases.find(8) is None
    assert (cases.index_of(7), cases.index_of(8), cases.index_of(99)) == (2, 3, 10)
    assert [cases.nearest(8, True), cases.nearest(8, False), cases.nearest(0, False), cases.nearest(99, True)] == [
        10,
        7,
        1,
        28,
    ]
    assert [case.number for case in cases[1:3]] == [4, 7]
    assert cases[-1].number == 28
    with pytest.raises(IndexError):
        cases[10]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 30), st.integers(0, 99), st.sampled_from(["a.jsonl", "a.json", "a.csv", "a.parquet"]))
def test_a_case_is_the_same_however_it_is_reached(tmp_path_factory, size, seed, name):
    folder = tmp_path_factory.mktemp("same")
    write(folder / name, [{"m": f"text {n}", "expected": "A"} for n in range(1, 31)])
    cases = load_cases(Dataset(name, sample=size, seed=seed), folder)
    walked = list(cases)
    places = random.Random(seed).sample(range(len(cases)), len(cases))
    assert [cases[place] for place in places] == [walked[place] for place in places]
    assert [cases.find(case.number) for case in walked] == walked
    assert all(case.variables == {"m": f"text {case.number}"} for case in walked)


def write(path, rows):
    if path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path, row_group_size=7)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
    else:
        texts = [json.dumps(row) for row in rows]
        path.write_text(f"[{', '.join(texts)}]" if path.suffix == ".json" else "\n".join(texts))


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_broken_rows_in_the_middle_of_a_large_file_are_named_or_left_out(tmp_path, name):
    write(tmp_path / name, [{"m": f"text {n}", "expected": "A"} for n in range(1, 20_001)])
    lines = (tmp_path / name).read_text().splitlines()
    first = 0 if name == "a.jsonl" else 1
    lines[first + 9_999] = '{"m": nothing}' if name == "a.jsonl" else "one,two,three"
    (tmp_path / name).write_text("\n".join(lines))
    with pytest.raises(DatasetError, match=f"line {10_000 + first}[,:]") as caught:
        load_cases(Dataset(name), tmp_path)
    assert "on_error: skip" in caught.value.hint
    cases = load_cases(Dataset(name, on_error="skip"), tmp_path)
    assert (len(cases), cases.skipped, cases[9_999].number, cases.find(10_000)) == (19_999, 1, 10_001, None)
    assert cases[9_999].variables == {"m": "text 10001"}
    assert sum(1 for _ in cases) == 19_999
    assert f"line {10_000 + first}" in cases.notes[0]


def test_a_quote_that_never_closes_loses_its_own_row_alone(tmp_path):
    (tmp_path / "a.csv").write_text('a,b\n1,2\n"3,4\n5,6\n7,8\n"9,10\n11,12\n')
    with pytest.raises(DatasetError) as caught:
        load_cases(Dataset("a.csv"), tmp_path)
    assert [line.strip().split(":")[0] for line in caught.value.message.splitlines()[1:]] == ["line 3", "line 6"]
    assert "line 6: a quote is opened and never closed" in caught.value.message
    cases = load_cases(Dataset("a.csv", on_error="skip"), tmp_path)
    assert [(case.number, case.variables["a"]) for case in cases] == [(1, "1"), (3, "5"), (4, "7"), (6, "11")]


def test_rows_without_a_wanted_value_can_be_left_out_but_not_a_column(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": "1"}\n{"b": "2"}\n')
    cases = load_cases(Dataset("a.jsonl", {"x": "a"}, on_error="skip"), tmp_path)
    assert [case.variables for case in cases] == [{"x": "1"}]
    with pytest.raises(DatasetError, match="no column c"):
        load_cases(Dataset("a.jsonl", {"x": "c"}, on_error="skip"), tmp_path)


def test_cases_stay_as_they_were_when_their_file_is_replaced_and_refuse_when_it_is_overwritten(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": "1"}\n{"a": "2"}\n')
    cases = load_cases(Dataset("a.jsonl"), tmp_path)
    assert cases.digest == files.digest(path)
    files.write_text(path, '{"a": "other"}\n')
    assert cases[1].variables == {"a": "2"}
    later = load_cases(Dataset("a.jsonl"), tmp_path)
    path.write_text('{"a": "and another"}\n')
    with pytest.raises(DatasetError, match="was changed by another program"):
        later[0]


def test_files_named_after_splits_are_splits_of_their_folder(tmp_path):
    for name in ("train", "test"):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"a": "{name}"}}\n')
    assert load_cases(Dataset(str(tmp_path), split="test"), tmp_path)[0].variables == {"a": "test"}
    beside = load_cases(Dataset("train.jsonl", split="test"), tmp_path)
    assert (beside[0].variables, beside.splits, beside.split) == ({"a": "test"}, ("test", "train"), "test")
    assert load_cases(Dataset("train.jsonl"), tmp_path)[0].variables == {"a": "train"}
    with pytest.raises(DatasetError, match="has several splits") as caught:
        load_cases(Dataset(str(tmp_path)), tmp_path)
    assert caught.value.hint == "Choose one with `split:`: test, train."
    with pytest.raises(DatasetError, match="has no split dev"):
        load_cases(Dataset(str(tmp_path), split="dev"), tmp_path)


def test_shards_of_a_split_are_read_as_one(tmp_path):
    data = tmp_path / "set" / "data"
    data.mkdir(parents=True)
    for shard in range(3):
        rows = [{"a": f"{shard}.{n}"} for n in range(4)]
        parquet.write_table(pa.Table.from_pylist(rows), data / f"train-{shard:05}-of-00003.parquet")
    cases = load_cases(Dataset("set"), tmp_path)
    assert [case.variables["a"] for case in cases] == [f"{shard}.{n}" for shard in range(3) for n in range(4)]
    assert (cases[5].number, cases[5].variables) == (6, {"a": "1.1"})
    assert len(cases.digest) == 32


def test_lists_under_keys_are_splits(tmp_path):
    (tmp_path / "a.json").write_text('{"train": [{"a": "1"}], "test": [{"a": "2"}]}')
    assert load_cases(Dataset("a.json", split="test"), tmp_path)[0].variables == {"a": "2"}
    with pytest.raises(DatasetError, match="has several splits"):
        load_cases(Dataset("a.json"), tmp_path)
