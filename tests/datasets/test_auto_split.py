"""Automatic splits: every row in one part, whole groups, and each row in its part whatever becomes of the others."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.datasets import load_cases
from workbench.datasets.auto_split import PARTS, find_part, locate, make_auto_split, make_unit
from workbench.datasets.case_parts import read_units
from workbench.datasets.spec import AutoSplit, Dataset
from workbench.errors import DatasetError


def write(path, rows):
    path.write_text("message,customer,expected\n" + "".join(f"{message},{who},x\n" for message, who in rows))


def read_parts(folder, **changes):
    """The messages of each part."""
    dataset = Dataset("cases.csv", auto_split=changes.pop("auto"), **changes)
    parts = {}
    for part in PARTS:
        one = Dataset(**{**{name: getattr(dataset, name) for name in dataset.__struct_fields__}, "split": part})
        parts[part] = [case.variables["message"] for case in load_cases(one, folder)]
    return parts


def test_every_row_is_in_one_part_and_the_shares_are_exact(tmp_path):
    write(tmp_path / "cases.csv", [(f"m {n}", f"c{n}") for n in range(60)])
    auto = make_auto_split(read_units(load_cases(Dataset("cases.csv"), tmp_path), ""), has_test=False)
    parts = read_parts(tmp_path, auto=auto)
    assert [len(parts[part]) for part in PARTS] == [27, 9, 24]
    assert sorted(message for own in parts.values() for message in own) == sorted(f"m {n}" for n in range(60))


def test_rows_stay_in_their_part_when_others_come_go_and_move(tmp_path):
    rows = [(f"m {n}", f"c{n}") for n in range(60)]
    write(tmp_path / "cases.csv", rows)
    before = read_parts(tmp_path, auto=AutoSplit(3))
    changed = [*(row for row in rows if row[0] != "m 7"), *((f"new {n}", "c") for n in range(30))]
    random.Random(1).shuffle(changed)
    write(tmp_path / "cases.csv", changed)
    after = read_parts(tmp_path, auto=AutoSplit(3))
    for part in PARTS:
        assert {one for one in after[part] if one.startswith("m")} == set(before[part]) - {"m 7"}


def test_groups_are_whole_and_an_input_of_test_is_not_trained_on(tmp_path):
    rows = [(f"m {n}", f"c{n % 15}") for n in range(60)]
    doubled = [("THE same  question", f"c{n}") for n in range(15)]
    write(tmp_path / "cases.csv", rows + doubled)
    auto = AutoSplit(2)
    groups = {}
    for part in PARTS:
        cases = load_cases(Dataset("cases.csv", group="customer", split=part, auto_split=auto), tmp_path)
        groups[part] = {case.variables["customer"] for case in cases}
        has_it = any("same" in case.variables["message"] for case in cases)
        assert has_it is (part == "test")
        assert bool(cases.doubled) is (part != "test")
        assert any("in another part" in words for words in cases.left_out) is (part != "test")
    assert all(groups.values())
    assert not groups["train"] & groups["validation"] and not groups["train"] & groups["test"]
    assert not groups["validation"] & groups["test"]


@given(st.text(), st.integers(0, 10_000), st.floats(0, 0.5), st.floats(0, 0.4))
def test_a_larger_share_of_a_part_takes_no_row_from_it(text, seed, test, validation):
    position = locate(make_unit({"message": text}, None).key, seed)
    assert 0 <= position < 1
    if find_part(position, AutoSplit(seed, validation, test)) == "test":
        assert find_part(position, AutoSplit(seed, validation, test + 0.05)) == "test"


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        (Dataset("cases.csv", split="dev", auto_split=AutoSplit()), "no split dev"),
        (Dataset("cases.csv", split="test", auto_split=AutoSplit(0, 0.5, 0.6)), "leave rows to train on"),
        (Dataset("cases.csv", split="test", auto_split=AutoSplit(), group="shop"), "no column shop"),
        (Dataset("cases.csv", split="validation", auto_split=AutoSplit(0, 0.0)), "leaves no rows for validation"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, dataset, words):
    write(tmp_path / "cases.csv", [("m", "c"), ("n", "d")])
    with pytest.raises(DatasetError, match=words):
        load_cases(dataset, tmp_path)


def test_without_a_part_all_rows_are_read(tmp_path):
    write(tmp_path / "cases.csv", [(f"m {n}", "c") for n in range(5)])
    assert len(load_cases(Dataset("cases.csv", auto_split=AutoSplit()), tmp_path)) == 5
