"""Two runs against each other, and a bench over its runs."""

from __future__ import annotations

import msgspec
import pytest
from stored_run import answer, make_cases, plain_variants, store_run

from workbench.analysis.baseline import compare_runs, read_series
from workbench.analysis.narrative import describe_comparison
from workbench.errors import StoreError
from workbench.store.runs import change_run

CASES = make_cases(40)
DAY = 86_400.0


def store_right(tmp_path, right, names=("a",), cases=CASES, day=0, bench="demo"):
    """A run in which the variants have these cases right, by the message's number."""
    cells = [
        answer(name, case, (case.expected or "") if int(case.variables["message"].split()[1]) in right else "no")
        for case in cases
        for name in names
    ]
    started = 1_795_000_000.0 + day * DAY
    return store_run(tmp_path / "s.sqlite", plain_variants(*names), cases, cells, started=started, bench=bench)


def test_what_was_fixed_and_what_broke_is_told_case_by_case(tmp_path):
    before, after = store_right(tmp_path, range(1, 21)), store_right(tmp_path, range(3, 31), day=1)
    (found,) = compare_runs(before, after).variants
    assert [one.case for one in found.fixed] == list(range(21, 31))
    assert [one.case for one in found.broken] == [1, 2]
    assert (found.unchanged, found.n, found.before, found.after) == (28, 40, 0.5, 0.7)
    assert found.difference == pytest.approx(0.2)
    assert found.low < 0.2 < found.high
    assert found.verdict == "better"


def test_a_few_cases_either_way_are_no_change_beyond_chance(tmp_path):
    before, after = store_right(tmp_path, range(1, 21)), store_right(tmp_path, range(2, 23), day=1)
    comparison = compare_runs(before, after)
    assert comparison.variants[0].verdict == "not distinguishable"
    said = describe_comparison(comparison)
    assert "a shows no change beyond chance: exact match went from 0.50 to 0.53 on 40 cases" in said
    assert "2 fixed and 1 broken" in said


def test_cases_are_matched_by_what_they_hold_when_the_dataset_changed(tmp_path):
    before = store_right(tmp_path, range(1, 41))
    moved = [
        msgspec.structs.replace(case, number=at + 1) for at, case in enumerate([*reversed(CASES), *make_cases(44)[40:]])
    ]
    after = store_right(tmp_path, range(2, 45), cases=moved, day=1)
    comparison = compare_runs(before, after)
    (found,) = comparison.variants
    assert [(one.was, one.case) for one in found.broken] == [(1, 40)]
    assert (comparison.cases, comparison.cases_only_a, comparison.cases_only_b) == (40, 0, 4)


def test_equal_rows_go_with_each_other_in_order(tmp_path):
    same = [msgspec.structs.replace(CASES[0], number=number) for number in (1, 2, 3)]
    cells = [answer("a", case, "Lantern" if case.number == 2 else "no") for case in same]
    view = store_run(tmp_path / "s.sqlite", plain_variants("a"), same, cells)
    (found,) = compare_runs(view, view).variants
    assert (found.n, found.unchanged, found.fixed) == (3, 3, ())


def test_variants_that_only_one_run_has_are_named(tmp_path):
    before = store_right(tmp_path, range(1, 21), ("a", "old"))
    after = store_right(tmp_path, range(1, 21), ("new", "a"), day=1)
    comparison = compare_runs(before, after)
    assert [one.name for one in comparison.variants] == ["a"]
    assert (comparison.variants_only_a, comparison.variants_only_b) == (("old",), ("new",))


def test_runs_without_anything_in_common_say_so(tmp_path):
    before, after = store_right(tmp_path, [], ("a",)), store_right(tmp_path, [], ("b",), day=1)
    with pytest.raises(StoreError, match="no variant in common"):
        compare_runs(before, after)
    with pytest.raises(StoreError, match="do not both have the metric 'bleu'"):
        compare_runs(before, before, "bleu")


def test_runs_of_different_cases_have_nothing_to_compare(tmp_path):
    before = store_right(tmp_path, range(1, 21), cases=CASES[:20])
    after = store_right(tmp_path, range(1, 41), cases=CASES[20:], day=1)
    comparison = compare_runs(before, after)
    assert (comparison.cases, comparison.variants[0].n) == (0, 0)
    assert "no case with a value in both" in describe_comparison(comparison)


def test_drift_shows_each_run_against_the_first(tmp_path):
    for day, right in enumerate((range(1, 37), range(1, 36), range(1, 11))):
        view = store_right(tmp_path, right, day=day)
    drift = read_series(view.store)
    assert [point.values["a"].value for point in drift.points] == [0.9, 0.875, 0.25]
    verdicts = [point.changes["a"].verdict for point in drift.points[1:]]
    assert verdicts == ["not distinguishable", "worse"]
    assert (drift.baseline, drift.fallen) == (drift.points[0].run, ("a",))


def test_drift_is_measured_from_the_pinned_run(tmp_path):
    views = [
        store_right(tmp_path, right, day=day) for day, right in enumerate((range(1, 37), range(1, 10), range(1, 11)))
    ]
    change_run(views[1].store, views[1].run.key, pinned=True)
    drift = read_series(views[1].store)
    assert drift.baseline == views[1].id
    assert drift.fallen == ()
    assert drift.points[0].changes["a"].verdict == "better"


def test_drift_of_a_bench_leaves_out_the_others(tmp_path):
    view = store_right(tmp_path, range(1, 10))
    store_right(tmp_path, range(1, 10), day=1, bench="other")
    assert len(read_series(view.store, "demo").points) == 1
    assert read_series(view.store).bench == "other"
    with pytest.raises(StoreError, match="No run of nothing is in the store"):
        read_series(view.store, "nothing")


def test_one_run_has_not_drifted(tmp_path):
    drift = read_series(store_right(tmp_path, range(1, 10)).store)
    assert (len(drift.points), drift.fallen, drift.points[0].changes) == (1, (), {})


def store_repeats(tmp_path, right, day=0):
    """A run with three answers to each case. right: how many of them are, by the case's number."""
    cells = [
        answer("a", case, (case.expected or "") if repeat < right(case.number) else "no", repeat)
        for case in CASES
        for repeat in range(3)
    ]
    started = 1_795_000_000.0 + day * DAY
    return store_run(tmp_path / "s.sqlite", plain_variants("a"), CASES, cells, started=started)


def test_with_repeats_rates_are_compared_and_no_answer_stands_for_a_case(tmp_path):
    before = store_repeats(tmp_path, lambda number: 1 + number % 2)
    after = store_repeats(tmp_path, lambda number: 2 + (number % 2 if number > 8 else -1), day=1)
    comparison = compare_runs(before, after)
    (found,) = comparison.variants
    assert found.repeated
    change = next(one for one in found.fixed if one.case == 9)
    assert (change.before, change.after) == (pytest.approx(2 / 3), 1.0)
    assert (change.answers_before, change.answers_after) == (3, 3)
    said = describe_comparison(comparison)
    assert f"over several answers to each case {len(found.fixed)} rates rose and {len(found.broken)} fell" in said
    assert "fixed" not in said and "broken" not in said


def test_a_single_answer_on_both_sides_is_not_repeated(tmp_path):
    before, after = store_right(tmp_path, range(1, 21)), store_right(tmp_path, range(3, 31), day=1)
    (found,) = compare_runs(before, after).variants
    assert not found.repeated and found.fixed[0].answers_after == 1


def test_repeats_on_one_side_alone_are_rates_as_well(tmp_path):
    before, after = store_right(tmp_path, range(1, 21)), store_repeats(tmp_path, lambda number: number % 4, day=1)
    (found,) = compare_runs(before, after).variants
    assert found.repeated
    assert (found.broken[0].answers_before, found.broken[0].answers_after) == (1, 3)


def test_a_verdict_is_withheld_where_answers_were_cut_off(tmp_path):
    cases = make_cases(40)
    whole = [answer("a", case, case.expected) for case in cases]
    cut = [
        msgspec.structs.replace(cell, completion=msgspec.structs.replace(cell.completion, stop_reason="length"))
        for cell in whole[:3]
    ]
    before = store_run(tmp_path / "s.sqlite", plain_variants("a"), cases, whole)
    after = store_run(tmp_path / "s.sqlite", plain_variants("a"), cases, [*cut, *whole[3:]], started=1_795_000_100.0)
    comparison = compare_runs(before, after)
    (found,) = comparison.variants
    assert (found.verdict, found.withheld) == ("withheld", f"8% of its answers were cut off in run {after.id}")
    assert "a has no verdict (8% of its answers were cut off" in describe_comparison(comparison)
    assert compare_runs(before, before).variants[0].verdict == "not distinguishable"
