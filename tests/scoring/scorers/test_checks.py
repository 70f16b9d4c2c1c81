"""The checks that a case brings itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.datasets import Case, load_cases
from workbench.datasets.spec import Dataset
from workbench.inference.types import Completion
from workbench.scoring.factory import make_scorers
from workbench.scoring.scorer import ScoredSample, ScoringInput
from workbench.scoring.scorer_set import ScorerSet

HELD = {"contains": {"text": "Paris", "strict": True}}
LACKING = {"contains": {"text": "Rome", "strict": True}}


def score(checks, text="Paris, of course", how="pass", **more):
    (scorer,) = make_scorers([{"checks": {"how": how}}])
    case = Case(1, {}, "x", checks=checks if isinstance(checks, str) else json.dumps(checks))
    return scorer.score_input(ScoringInput(text, case, **more))


def test_a_case_passes_when_all_its_checks_do():
    assert score([HELD, "json_valid"], '"Paris"').value == 1
    failed = score([HELD, LACKING])
    assert failed.value == 0
    assert failed.explanation.split("\n")[0] == "Failed, mean 0.5 of 2 checks."
    assert "✓ contains" in failed.explanation and "✗ contains" in failed.explanation


def test_weights_make_the_mean_and_a_threshold_decides_by_it():
    heavy = {"contains": {**HELD["contains"], "weight": 3}}
    assert score([heavy, LACKING], how="mean").value == 0.75
    assert score({"parts": [heavy, LACKING], "threshold": 0.75}).value == 1
    assert score({"parts": [heavy, LACKING], "threshold": 0.8}).value == 0


def test_a_check_of_weight_0_never_fails_and_counts_in_its_metric_alone():
    noted = {"contains": {**LACKING["contains"], "weight": 0, "metric": "capital"}}
    found = score([HELD, noted])
    assert found.value == 1
    assert found.parts == {"capital": 0.0, "mean": 1.0}


def test_a_check_has_its_own_expected_answer_and_negation():
    assert score([{"exact_match": {"expected": "Paris", "strict": True}}], "Paris").value == 1
    assert score([{"exact_match": {"expected": ["Rome", "Paris"]}}], "Paris").value == 1
    assert score(["exact_match"], "Paris").value == 0  # the case's own expected answer is x
    assert score([{"contains": {"text": "Paris", "negate": True}}], "Rome").value == 1


def test_graded_checks_count_with_their_grade_and_pass_by_their_threshold():
    close = {"edit_similarity": {"expected": "abcd", "threshold": 0.5}}
    found = score([close], "abxx", how="mean")
    assert found.value == 0.5 and "✓" in found.explanation
    apart = score([{"edit_similarity": {"expected": "abcd", "threshold": 0.5, "negate": True}}], "abcx", how="mean")
    assert apart.value == 0.25 and "✗" in apart.explanation
    near = {"edit_distance": {"expected": "abcd", "threshold": 2}}
    assert score([near], "abxx", how="mean").value == 1  # a distance has no grade: within the threshold or not


def test_sets_nest_and_metrics_of_both_levels_are_kept():
    inner = [{"contains": {**HELD["contains"], "metric": "city"}}, LACKING]
    found = score([{"checks": {"parts": inner, "threshold": 0.5, "metric": "either"}}, HELD])
    assert found.value == 1
    assert found.parts == {"city": 1.0, "either": 0.5, "mean": 0.75}


def test_the_dataset_gets_the_mean_of_each_metric_over_the_cases_that_have_it():
    (scorer,) = make_scorers(["checks"])
    first = score([{"contains": {**HELD["contains"], "metric": "city"}}])
    second = score([{"contains": {**LACKING["contains"], "metric": "city"}}, HELD])
    third = score([HELD])
    samples = [ScoredSample("", None, one, case=at) for at, one in enumerate((first, second, third) * 20)]
    assert scorer.summarize(samples) == {"city": 0.5, "mean": pytest.approx(2.5 / 3)}
    low, high = scorer.bound(samples)["mean"]
    assert low <= 2.5 / 3 <= high


def test_what_does_not_apply_is_said_and_not_counted():
    late = {"latency": {"threshold": 1.0}}
    cached = score([late, HELD], completion=Completion("Paris"), cached=True)
    assert cached.value == 1 and "1 do not apply" in cached.explanation
    assert not score([late], completion=Completion("Paris"), cached=True).applies
    assert not score("").applies


@pytest.mark.parametrize(
    ("checks", "problem"),
    [
        ("not json", "expected a JSON list of checks"),
        ('[{"conains": {}}]', "did you mean contains?"),
        ('[{"python": {"file": "x.py"}}]', "a check cannot run code"),
        ('["latency"]', "set a threshold"),
        ('[{"contains": {"text": "x", "weight": -1}}]', "expected a number from 0"),
        ('[{"contains": {"text": "x"}, "regex": {}}]', "expected one name"),
        ('{"parts": [], "treshold": 1}', "treshold"),
    ],
)
def test_wrong_checks_give_no_score_and_say_why(checks, problem):
    found = score(checks)
    assert not found.applies and found.unscored == "error"
    assert problem in found.explanation


def test_checks_come_from_a_column_of_the_dataset_and_run_in_the_scoring_process(tmp_path: Path):
    rows = [
        {"city": "Paris", "checks": [{"json_schema": {"schema": {"const": "Paris"}}}]},
        {"city": "Rome", "checks": ["json_valid"]},
        {"city": "Oslo"},
    ]
    (tmp_path / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    cases = load_cases(Dataset("cases.jsonl", checks="checks"), tmp_path)
    assert [case.variables for case in cases] == [{"city": "Paris"}, {"city": "Rome"}, {"city": "Oslo"}]
    scoring = ScorerSet(["checks"], tmp_path)
    try:
        found = [scoring.score('"Paris"', case).result(60)[0] for case in cases]
    finally:
        scoring.close()
    assert [(one.value, one.applies) for one in found] == [(1, True), (1, True), (0, False)]


def test_texts_are_compared_strictly_where_a_check_says_so():
    at_start = {"contains": {"text": "Par", "strict": True, "at": "start"}}
    assert score([at_start], "Paris").value == 1
    assert score([at_start], " Paris").value == 0
    no_case = {"contains": {"text": "PARIS  x", "strict": True, "ignore_case": True}}
    assert score([no_case], "paris  X").value == 1 and score([no_case], "paris x").value == 0
    fenced = '```json\n{"a": 1}\n```'
    assert score(["json_valid"], fenced).value == 1
    assert score([{"json_valid": {"strict": True}}], fenced).value == 0
    assert score([{"json_valid": {"anywhere": True}}], 'so: {"a": 1}.').value == 1
    assert score([{"json_valid": {"anywhere": True, "negate": True}}], "none").value == 1
    assert score([{"edit_distance": {"expected": "a", "strict": True, "threshold": 0}}], "a\n").value == 0
