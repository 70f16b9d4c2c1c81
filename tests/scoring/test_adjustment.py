from __future__ import annotations

import pytest

from workbench.datasets import Case
from workbench.errors import ScorerError
from workbench.scoring.factory import make_scorers

CASE = Case(1, {}, "Lantern")


def make(spec):
    (scorer,) = make_scorers([spec])
    return scorer


def test_a_negated_scorer_turns_its_value_and_its_name_round():
    scorer = make({"contains": {"text": "sorry", "negate": True}})
    assert scorer.name == "not_contains"
    assert scorer.binary
    assert scorer.score("I am sorry.", CASE).value == 0
    assert scorer.score("Lantern", CASE).value == 1
    assert make({"contains": {"text": "sorry", "negate": True, "name": "polite"}}).name == "polite"


def test_a_threshold_makes_a_value_right_or_wrong_and_keeps_it():
    scorer = make({"edit_similarity": {"threshold": 0.8}})
    assert (scorer.binary, scorer.scale) == (True, "unit")
    close = scorer.score("Lanterns", CASE)
    assert (close.value, close.parts["value"]) == (1, pytest.approx(0.875))
    assert close.explanation.startswith("0.875 is at least 0.8: ")
    assert scorer.score("Lan", CASE).value == 0


def test_a_threshold_is_a_limit_where_less_is_better():
    scorer = make({"edit_distance": {"threshold": 1}})
    assert not scorer.lower_is_better
    assert scorer.score("Lanterns", CASE).value == 1
    assert scorer.score("Lan", CASE).explanation.startswith("4 is more than 1: ")
    assert make({"edit_distance": {"threshold": 1, "negate": True}}).score("Lan", CASE).value == 1


def test_what_does_not_apply_is_not_turned_round():
    score = make({"exact_match": {"negate": True}}).score("a", Case(1, {}))
    assert (score.value, score.applies, score.scorer) == (0, False, "not_exact_match")


def test_a_value_without_an_end_cannot_be_turned_round():
    with pytest.raises(ScorerError, match="no upper bound"):
        make({"edit_distance": {"negate": True}})


@pytest.mark.parametrize("spec", ["perplexity", "log_likelihood"])
def test_a_scorer_that_never_looks_at_the_answer_takes_no_part_of_it(spec):
    with pytest.raises(ScorerError, match=f"{spec}: it does not look at the answer"):
        make({spec: {"extract": "last_number"}})


def test_a_weight_counts_only_among_parts():
    with pytest.raises(ScorerError, match="exact_match: `weight` only applies among the parts"):
        make({"exact_match": {"weight": 2}})
    with pytest.raises(ScorerError, match="weight: expected `float` > 0"):
        make({"combined": {"parts": [{"exact_match": {"weight": 0}}]}})


@pytest.mark.parametrize(("how", "value"), [("mean", 1 / 4), ("all", 0), ("any", 1)])
def test_combined_scorers_are_one(how, value):
    parts = [{"exact_match": {"weight": 3}}, "contains"]
    score = make({"combined": {"parts": parts, "how": how}}).score("It is Lantern.", CASE)
    assert score.value == value
    assert score.parts == {"exact_match": 0, "contains": 1}
    assert score.explanation.splitlines()[1].startswith("exact_match 0: ")


def test_a_part_that_was_told_what_is_right_counts_so():
    parts = [{"json_valid": {"negate": True}}, {"edit_distance": {"threshold": 2}}]
    assert make({"combined": {"parts": parts}}).score("Lantern", CASE).value == 1


def test_a_part_for_which_less_is_better_is_turned_round(tmp_path):
    (tmp_path / "judge.py").write_text("def score(answer): return 0.2")
    part = {"python": {"file": "judge.py", "lower_is_better": True}}
    (scorer,) = make_scorers([{"combined": {"parts": [part]}}], tmp_path)
    assert scorer.score("Lantern", CASE).value == pytest.approx(0.8)


def test_a_part_that_does_not_apply_is_left_out():
    scorer = make({"combined": {"parts": ["exact_match", "json_valid"]}})
    assert scorer.score("1", Case(1, {})).value == 1
    only = make({"combined": {"parts": ["exact_match"]}}).score("1", Case(1, {}))
    assert not only.applies


def test_parts_are_checked_like_any_scorers():
    with pytest.raises(ScorerError) as caught:
        make({"combined": {"parts": ["exact_mach", {"regex": {"pattern": "("}}, "json_valid", "json_valid"]}})
    told = caught.value.message
    assert "did you mean exact_match?" in told
    assert "missing )" in told
    assert "two scorers are called json_valid" in told
    with pytest.raises(ScorerError, match="latency have no upper bound; set a threshold"):
        make({"combined": {"parts": ["latency"]}})


def test_combined_scorers_may_be_combined_again():
    inner = {"combined": {"parts": ["exact_match", "json_valid"], "how": "any"}}
    scorer = make({"combined": {"name": "both", "parts": [inner, "contains"], "how": "all"}})
    assert scorer.binary
    assert scorer.score("Lantern", CASE).value == 1
