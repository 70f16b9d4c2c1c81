"""What cannot be judged says so, with its reason, instead of counting as 0."""

from __future__ import annotations

import pytest

from workbench.datasets import Case
from workbench.errors import ScorerError
from workbench.inference.types import Completion, Likelihood
from workbench.scoring.factory import make_scorers
from workbench.scoring.grader_request import GraderReply
from workbench.scoring.scorer import ScoredSample, ScoringInput

REFERENCED = (
    *("exact_match", "normalized_match", "numeric_match", "contains", "accuracy", "token_f1", "bleu", "chrf"),
    *("rouge1", "rouge2", "rougeL", "edit_distance", "edit_similarity", "json_fields", "log_likelihood", "perplexity"),
    {"regex": {"pattern": "(a+)"}},
    {"multiple_choice": {"choices": ["a", "b"]}},
)


def make(spec):
    (scorer,) = make_scorers([spec])
    return scorer


@pytest.mark.parametrize("expected", ["", "  \n", "\u200b", None])
@pytest.mark.parametrize("spec", REFERENCED)
def test_an_empty_expected_answer_is_nothing_to_compare_with(spec, expected):
    case = Case(1, {}, expected)
    for text in ("", "Lantern"):
        score = make(spec).score(text, case)
        assert not score.applies
        lacking = "This case has no expected answer." if expected is None else "This case's expected answer is empty."
        assert score.explanation == lacking
    assert make(spec).grader_requests("", case) == ()


def test_an_empty_one_among_several_right_answers_does_not_count():
    case = Case(1, {}, "", also=(" ", "Harbour"))
    for spec in ("exact_match", "token_f1", "contains", "accuracy"):
        assert make(spec).score("Harbour", case).value == 1
        assert make(spec).score("", case).value == 0
    likelihood = (GraderReply(likelihoods=(Likelihood(-1.0, 1, 7, False),)),)
    assert make("log_likelihood").score_input(ScoringInput("", case, likelihood)).applies
    text = "it goes to the Harbour queue"
    samples = [ScoredSample(text, "", make("bleu").score(text, case), (" ", text))]
    assert make("bleu").summarize(samples) == {"corpus": pytest.approx(100)}


@pytest.mark.parametrize("other", [None, "", " "])
def test_a_pair_needs_something_to_compare_with(other):
    scorer = make({"pairwise": {"model": "m", "against": "rival"}})
    case = Case(1, {"message": "m"} | ({} if other is None else {"rival": other}), "x")
    assert scorer.grader_requests("a", case) == ()
    score = scorer.score_input(ScoringInput("a", case))
    assert (score.applies, score.explanation) == (
        False,
        "This case has no column rival to compare with, or an empty one.",
    )


def test_what_should_be_extracted_of_the_expected_answer_and_is_not_there_is_told():
    scorer = make({"exact_match": {"extract_expected": "last_number"}})
    score = scorer.score("4", Case(1, {}, "four"))
    assert (score.applies, score.explanation) == (False, "There is no number in the expected answer.")
    assert scorer.score("4", Case(1, {}, "four", also=("it is 4",))).value == 1
    assert not scorer.score("4", Case(1, {}, None)).applies


def test_an_answer_without_what_should_be_extracted_is_wrong_turned_round_or_not():
    case = Case(1, {}, "Lantern")
    for negate in (False, True):
        scorer = make({"contains": {"text": "sorry", "extract": {"after": "Answer:"}, "negate": negate}})
        assert scorer.score("I am sorry.", case).value == 0
    scorer = make({"exact_match": {"extract": "last_number"}})
    assert scorer.score("no number", case).value == 0
    assert not scorer.score("no number", Case(1, {})).applies


def test_a_scorer_for_which_less_is_better_gives_its_worst_where_nothing_can_be_extracted(tmp_path):
    (tmp_path / "own.py").write_text("def score(answer): return 0.1")
    spec = {"python": {"file": "own.py", "lower_is_better": True, "extract": "last_number"}}
    (scorer,) = make_scorers([spec], tmp_path)
    assert scorer.score("4", Case(1, {})).value == pytest.approx(0.1)
    assert scorer.score("four", Case(1, {})).value == 1


def test_an_empty_text_to_look_for_is_refused():
    for options in ({"text": ""}, {"all_of": ["a", ""]}, {"any_of": [""]}):
        with pytest.raises(ScorerError, match="every answer contains it"):
            make({"contains": options})


@pytest.mark.parametrize(
    ("text", "answer", "value"),
    [
        ("```", "no fence", 0),
        ("```", "```\nx\n```", 1),
        ("\n\n", "one\n\ntwo", 1),
        ("\n\n", "one two", 0),
        ("\u200b", "a", 0),
    ],
)
def test_signs_and_blanks_that_are_looked_for_count(text, answer, value):
    assert make({"contains": {"text": text}}).score(answer, Case(1, {})).value == value


@pytest.mark.parametrize(
    ("wanted", "answer", "value"),
    [
        ("(B)", "Because of the rain", 0),
        ("(B)", "It is (b).", 1),
        ("（B）", "Because", 0),
        ("a < b", "a  <  B", 1),
        ("->", "-", 0),
    ],
)
def test_the_signs_of_an_expected_answer_have_to_be_there(wanted, answer, value):
    assert make("contains").score(answer, Case(1, {}, wanted)).value == value


RUBRIC = {"judge": {"model": "m", "rubric": "Good?"}}
SLOW = {"pattern": "(a|aa)+$", "timeout_seconds": 0.02}


@pytest.mark.parametrize(
    ("spec", "replies", "unscored"),
    [
        (RUBRIC, (GraderReply(completion=Completion(text="Hm, well.")),), "error"),
        (RUBRIC, (GraderReply(problem="The model was unloaded."),), "lost"),
        (RUBRIC, (), ""),
        (
            {"pairwise": {"model": "m"}},
            (GraderReply(completion=Completion(text="A")), GraderReply(problem="gone")),
            "lost",
        ),
        ("perplexity", (GraderReply(problem="The engine has no likelihoods."),), "error"),
        ("perplexity", (), ""),
        ({"multiple_choice": {"column": "choices"}}, (), "error"),
        ({"regex": SLOW}, (), "error"),
        ({"exact_match": {"extract": {"regex": SLOW}}}, (), "error"),
        ("numeric_match", (), ""),
    ],
)
def test_a_score_that_should_be_there_is_counted_as_missing(spec, replies, unscored):
    score = make(spec).score_input(ScoringInput("a" * 60 + "b", Case(1, {"message": "m"}, "Lantern"), replies))
    assert (score.applies, score.unscored) == (False, unscored)
