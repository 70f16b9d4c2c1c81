from __future__ import annotations

import json

import pytest

from workbench.datasets.spec import Dataset
from workbench.errors import DatasetError, SearchError
from workbench.search.splits import find_search_splits, identify, open_test
from workbench.store.store import Store

NO_LIMITS: dict = {}


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def rows(first, count, **fields):
    return [{"message": f"message {n}", "expected": "x", **fields} for n in range(first, first + count)]


def test_the_splits_of_the_data_are_used_and_named(tmp_path, store):
    for name, first in (("train", 0), ("validation", 100), ("test", 200)):
        write(tmp_path / f"{name}.jsonl", rows(first, 30))
    found = find_search_splits(Dataset("test.jsonl"), tmp_path, store, NO_LIMITS)
    assert [len(found.cases(part)) for part in ("train", "dev", "test")] == [30, 30, 30]
    assert found.dev[0].variables["message"] == "message 100"
    assert found.how == "train is the split train, dev is the split validation, test is the split test"


def test_without_a_validation_split_train_is_divided(tmp_path, store):
    write(tmp_path / "train.jsonl", rows(0, 40))
    write(tmp_path / "test.jsonl", rows(200, 30))
    found = find_search_splits(Dataset("test.jsonl"), tmp_path, store, NO_LIMITS)
    assert (len(found.train), len(found.dev), len(found.test)) == (20, 20, 30)
    assert not {identify(one) for one in found.train} & {identify(one) for one in found.dev}


def test_one_file_is_divided_once_and_stays_so(tmp_path, store):
    write(tmp_path / "cases.jsonl", rows(0, 50))
    first = find_search_splits(Dataset("cases.jsonl"), tmp_path, store, NO_LIMITS)
    assert (len(first.train), len(first.dev), len(first.test)) == (15, 15, 20)
    assert len({identify(one) for part in first[:3] for one in part}) == 50
    again = find_search_splits(Dataset("cases.jsonl", limit=10), tmp_path, store, NO_LIMITS)
    assert again[:3] == first[:3]
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (tmp_path / "cases.jsonl").rename(moved / "cases.jsonl")
    assert find_search_splits(Dataset("cases.jsonl"), moved, store, NO_LIMITS)[:3] == first[:3]


def test_rows_that_a_bench_leaves_out_are_those_of_its_own_split(tmp_path, store):
    for name, first in (("train", 0), ("validation", 100), ("test", 200)):
        write(tmp_path / f"{name}.jsonl", rows(first, 30))
    found = find_search_splits(Dataset("test.jsonl", exclude=(1, 2)), tmp_path, store, NO_LIMITS)
    assert [len(found.cases(part)) for part in ("train", "dev", "test")] == [30, 30, 28]


def test_groups_are_never_divided(tmp_path, store):
    data = [{"message": f"m {n}", "expected": "x", "customer": f"c{n % 12}"} for n in range(120)]
    write(tmp_path / "cases.jsonl", data)
    found = find_search_splits(Dataset("cases.jsonl", group="customer"), tmp_path, store, NO_LIMITS)
    groups = [{one.variables["customer"] for one in part} for part in found[:3]]
    assert not groups[0] & groups[1] and not groups[1] & groups[2] and not groups[0] & groups[2]
    assert all(groups)
    assert "divided by customer" in found.how
    with pytest.raises(DatasetError, match="has no column shop"):
        find_search_splits(Dataset("cases.jsonl"), tmp_path, store, NO_LIMITS, "shop")


def test_a_group_of_a_later_split_is_left_out_of_an_earlier_one(tmp_path, store):
    for number, name in enumerate(("train", "validation", "test")):
        data = [{"message": f"m {number} {n}", "expected": "x", "customer": f"c{n + 5 * number}"} for n in range(10)]
        write(tmp_path / f"{name}.jsonl", data)
    found = find_search_splits(Dataset("test.jsonl"), tmp_path, store, NO_LIMITS, "customer")
    assert (len(found.train), len(found.dev), len(found.test)) == (5, 5, 10)
    assert "5 train rows are left out: the row or its group is also in dev or test." in found.notes


def test_equal_inputs_stay_together_and_rows_of_later_parts_are_left_out(tmp_path, store):
    write(tmp_path / "train.jsonl", [*rows(0, 20), {"message": "MESSAGE  200", "expected": "y"}])
    write(tmp_path / "validation.jsonl", [*rows(100, 20), *rows(201, 2)])
    write(tmp_path / "test.jsonl", rows(200, 20))
    found = find_search_splits(Dataset("test.jsonl"), tmp_path, store, NO_LIMITS)
    assert (len(found.train), len(found.dev), len(found.test)) == (20, 20, 20)
    assert "1 train row is left out: the row is also in dev or test." in found.notes
    assert "2 dev rows are left out: the row is also in test." in found.notes


def test_limits_take_the_same_sample_each_time(tmp_path, store):
    write(tmp_path / "cases.jsonl", rows(0, 100))
    limited = [find_search_splits(Dataset("cases.jsonl"), tmp_path, store, {"dev": 7, "test": 9}) for _ in range(2)]
    assert limited[0] == limited[1]
    assert (len(limited[0].dev), len(limited[0].test)) == (7, 9)


def test_openings_are_counted(tmp_path, store):
    write(tmp_path / "cases.jsonl", rows(0, 50))
    found = find_search_splits(Dataset("cases.jsonl"), tmp_path, store, NO_LIMITS)
    assert [open_test(store, found.key, "s", "c1") for _ in range(3)] == [1, 2, 3]
    assert find_search_splits(Dataset("cases.jsonl"), tmp_path, store, NO_LIMITS).openings == 3


def test_too_few_cases_are_refused(tmp_path, store):
    write(tmp_path / "cases.jsonl", rows(0, 6))
    with pytest.raises(SearchError, match=r"The dev part of cases.jsonl has \d cases"):
        find_search_splits(Dataset("cases.jsonl"), tmp_path, store, NO_LIMITS)
    with pytest.raises(SearchError, match="no dataset"):
        find_search_splits(None, tmp_path, store, NO_LIMITS)


def test_a_column_split_is_understood(tmp_path, store):
    data = [
        {"message": f"m {n}", "expected": "x", "split": name}
        for number, name in enumerate(("train", "val", "test"))
        for n in range(100 * number, 100 * number + 10)
    ]
    write(tmp_path / "cases.jsonl", data)
    found = find_search_splits(Dataset("cases.jsonl", where={"split": "test"}), tmp_path, store, NO_LIMITS)
    assert (len(found.train), len(found.dev), len(found.test)) == (10, 10, 10)
    assert found.test[0].variables["message"] == "m 200"
