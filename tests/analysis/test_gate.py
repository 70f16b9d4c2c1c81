"""A run held against a committed baseline: better, not worse, worse, or not enough cases to tell."""

from __future__ import annotations

import math

import msgspec
import pytest
from stored_run import answer, make_cases, plain_variants, store_run

from workbench.analysis.gate import check_gate
from workbench.analysis.score_baseline import SUFFIX, make_baseline, read_baseline, write_baseline
from workbench.errors import BenchError, FileError

CASES = make_cases(200)


def store_right(tmp_path, right, names=("a",), cases=CASES, day=0, without=()):
    """A run in which the variants have these cases right, by the case's number, and no answer to others."""
    cells = [
        answer(name, case, (case.expected or "") if case.number in right else "no")
        for case in cases
        for name in names
        if case.number not in without
    ]
    started = 1_795_000_000.0 + day * 86_400
    return store_run(tmp_path / "s.sqlite", plain_variants(*names), cases, cells, started=started, bench="demo")


def gate_of(tmp_path, before, after, margin=0.02, **options):
    baseline = make_baseline(store_right(tmp_path, before))
    return check_gate(store_right(tmp_path, after, day=1, **options), baseline, margin)


@pytest.mark.parametrize(
    ("after", "margin", "outcome", "passed", "undecided"),
    [
        (range(1, 151), 0.02, "not worse", True, False),  # the same answers: at most 1.8 points can be lost
        (range(1, 151), 0.01, "not enough cases", False, True),
        (range(1, 181), 0.02, "better", True, False),
        (range(1, 121), 0.02, "worse", False, False),
        (range(1, 148), 0.02, "not enough cases", False, True),  # three lost: neither chance nor harmless
        (range(1, 148), 0.06, "not worse", True, False),
    ],
)
def test_the_outcome_is_decided_by_the_margin_and_by_what_the_cases_can_show(
    tmp_path, after, margin, outcome, passed, undecided
):
    gate = gate_of(tmp_path, range(1, 151), after, margin)
    (found,) = gate.results
    assert (found.outcome, gate.passed, gate.undecided) == (outcome, passed, undecided)


def test_too_few_cases_say_how_many_would_do(tmp_path):
    (found,) = gate_of(tmp_path, range(1, 151), range(1, 151), 0.01).results
    assert found.needed_cases == 368  # ln(0.025) / ln(0.99): none of so many may be lost
    assert "200 cases are too few; about 368 would tell." in found.reason
    assert math.isnan(found.low) and found.bound == pytest.approx(-0.0183, abs=1e-4)


def test_what_became_wrong_is_named(tmp_path):
    (found,) = gate_of(tmp_path, range(1, 151), range(11, 120)).results
    assert found.broken == (*range(1, 11), *range(120, 151))
    assert found.reason == "It loses 0.205, beyond chance; the margin is 0.02."


def test_a_case_that_lost_its_score_does_not_pass(tmp_path):
    gate = gate_of(tmp_path, range(1, 151), range(1, 151), without=(7, 8))
    (found,) = gate.results
    assert (found.outcome, found.missing) == ("incomplete", 2)
    assert not gate.passed and not gate.undecided


def test_cases_that_were_taken_out_do_not_pass_and_new_ones_count_for_nothing(tmp_path):
    baseline = make_baseline(store_right(tmp_path, range(1, 151)))
    fewer = store_right(tmp_path, range(1, 151), cases=CASES[10:], day=1)
    gate = check_gate(fewer, baseline, 0.02)
    assert (gate.cases_gone, gate.results[0].outcome) == (10, "incomplete")
    more = store_right(tmp_path, range(1, 151), cases=make_cases(220), day=2)
    gate = check_gate(more, baseline, 0.02)
    assert (gate.cases_new, gate.results[0].n, gate.passed) == (20, 200, True)


def test_a_variant_that_the_run_lacks_does_not_pass_unless_others_were_chosen(tmp_path):
    baseline = make_baseline(store_right(tmp_path, range(1, 151), ("a", "b")))
    run = store_right(tmp_path, range(1, 151), ("a", "c"), day=1)
    gate = check_gate(run, baseline, 0.02)
    assert [(one.variant, one.outcome) for one in gate.results] == [("a", "not worse"), ("b", "incomplete")]
    assert gate.variants_new == ("c",)
    assert check_gate(run, baseline, 0.02, variants=("a",)).passed
    with pytest.raises(BenchError, match="no variant c"):
        check_gate(run, baseline, 0.02, variants=("c",))


def test_a_baseline_survives_its_file_and_holds_no_text(tmp_path):
    baseline = make_baseline(store_right(tmp_path, range(1, 151)))
    path = tmp_path / f"demo{SUFFIX}"
    write_baseline(path, baseline)
    assert read_baseline(path) == baseline
    assert len(path.read_text().splitlines()) == 201
    assert "message" not in path.read_text().split("\n", 1)[1]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"workbench_baseline":2}', "\x00"])
def test_another_file_is_no_baseline(tmp_path, text):
    path = tmp_path / f"demo{SUFFIX}"
    path.write_text(text)
    with pytest.raises(FileError, match="line 1: expected the baseline"):
        read_baseline(path)


def test_a_metric_that_the_baseline_lacks_is_refused(tmp_path):
    baseline = make_baseline(store_right(tmp_path, range(1, 151)))
    other = msgspec.structs.replace(baseline, header=msgspec.structs.replace(baseline.header, metrics=()))
    with pytest.raises(BenchError, match="do not both have a metric"):
        check_gate(store_right(tmp_path, (), day=1), other, 0.02)


def test_a_damaged_line_of_a_baseline_is_named(tmp_path):
    path = tmp_path / f"demo{SUFFIX}"
    write_baseline(path, make_baseline(store_right(tmp_path, range(1, 151))))
    lines = path.read_text().splitlines()
    lines[7] = lines[7][:20]
    path.write_text("\n".join(lines))
    with pytest.raises(FileError, match="line 8: expected the baseline"):
        read_baseline(path)
