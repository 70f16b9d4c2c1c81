from __future__ import annotations

import math

import pytest

from workbench.datasets import Case
from workbench.errors import ScorerError
from workbench.inference.types import Completion, Likelihood
from workbench.scoring.factory import make_scorers
from workbench.scoring.grader_request import GraderReply, LoglikelihoodCall
from workbench.scoring.scorer import ScoredSample, ScoringInput

CASE = Case(1, {"q": "?"}, "Lantern")


def make(spec):
    (scorer,) = make_scorers([spec])
    return scorer


def judge(scorer, case, *likelihoods):
    return scorer.score_input(ScoringInput("", case, (GraderReply(likelihoods=likelihoods),)))


def test_log_likelihood_asks_for_the_expected_answer():
    scorer = make({"log_likelihood": {"delimiter": " "}})
    assert scorer.grader_requests("ignored", CASE) == (LoglikelihoodCall((" Lantern",)),)
    assert not scorer.needs_answer
    score = judge(scorer, CASE, Likelihood(-6.0, 3, 8, True))
    assert (score.value, score.parts["tokens"]) == (-6, 3)
    assert "Greedy decoding writes it." in score.explanation
    assert scorer.summarize([ScoredSample("", "Lantern", score)]) == {"greedy": 1}


@pytest.mark.parametrize(("per", "value"), [("answer", -6), ("token", -2), ("byte", -0.75)])
def test_log_likelihood_may_be_over_tokens_or_bytes(per, value):
    assert judge(make({"log_likelihood": {"per": per}}), CASE, Likelihood(-6.0, 3, 8, False)).value == value


def test_perplexity_of_a_dataset_is_over_all_its_tokens():
    scorer = make("perplexity")
    assert scorer.lower_is_better
    scores = [judge(scorer, CASE, Likelihood(logprob, tokens, 9, False)) for logprob, tokens in ((-1, 1), (-9, 4))]
    assert scores[1].value == pytest.approx(math.exp(9 / 4))
    corpus = scorer.summarize([ScoredSample("", "Lantern", score) for score in scores])
    assert corpus == {"corpus": pytest.approx(math.exp(10 / 5))}


def test_a_likelihood_that_is_no_number_does_not_count():
    assert not judge(make("perplexity"), CASE, Likelihood(-1e9, 1, 1, False)).applies


@pytest.mark.parametrize("spec", ["log_likelihood", "perplexity", {"multiple_choice": {"choices": ["Lantern", "b"]}}])
def test_what_cannot_be_weighed_is_told(spec):
    scorer = make(spec)
    assert "`workbench eval` asks" in scorer.score("", CASE).explanation
    refused = scorer.score_input(ScoringInput("", CASE, (GraderReply(problem="The model was unloaded."),)))
    assert (refused.applies, refused.explanation) == (False, "The model was unloaded.")
    assert not scorer.score("", Case(1, {})).applies
    assert scorer.grader_requests("", Case(1, {})) == ()


CHOICES = ("no", "certainly not")
SHORT, LONG = Likelihood(-4.0, 1, 2, False), Likelihood(-6.0, 3, 13, False)


def test_multiple_choice_takes_the_likeliest_choice_raw_and_by_length():
    case = Case(1, {}, "certainly not")
    raw = make({"multiple_choice": {"choices": CHOICES}})
    assert raw.grader_requests("", case) == (LoglikelihoodCall(CHOICES),)
    score = judge(raw, case, SHORT, LONG)
    assert (score.value, score.extracted) == (0, "no")
    assert score.parts == {"raw": 0, "characters": 1, "bytes": 1, "tokens": 1}
    assert raw.summarize([ScoredSample("", case.expected, score)]) == score.parts
    assert "'certainly not': -6.000, -0.462 a character, expected" in score.explanation
    normalized = make({"multiple_choice": {"choices": CHOICES, "normalize": "characters"}})
    assert judge(normalized, case, SHORT, LONG).value == 1


@pytest.mark.parametrize(
    ("expected", "answer", "right"),
    [
        ("No.", "auto", 0),
        ("B", "auto", 1),
        ("b", "letter", 1),
        ("1", "index", 1),
        ("C", "auto", None),
        ("A", "text", None),
    ],
)
def test_the_expected_choice_is_named_by_text_letter_or_index(expected, answer, right):
    scorer = make({"multiple_choice": {"choices": CHOICES, "answer": answer}})
    score = judge(scorer, Case(1, {}, expected), SHORT, LONG)
    assert score.applies is (right is not None)
    assert score.value == (right == 0)


def test_choices_may_come_from_a_column():
    scorer = make({"multiple_choice": {"column": "options"}})
    case = Case(1, {"options": '["x", "y"]'}, "y")
    assert scorer.grader_requests("", case) == (LoglikelihoodCall(("x", "y")),)
    for value, told in ((None, "no column options; it has q"), ("x, y", "no JSON list"), ('["x"]', "fewer than two")):
        lacking = Case(1, {"options": value} if value else {"q": ""}, "y")
        assert told in scorer.score_input(ScoringInput("", lacking)).explanation


@pytest.mark.parametrize(
    "options", [{}, {"choices": ["a"]}, {"choices": ["a", "a"]}, {"choices": ["a", "b"], "column": "c"}]
)
def test_choices_that_are_none_are_refused(options):
    with pytest.raises(ScorerError, match="multiple_choice"):
        make({"multiple_choice": options})


def test_latency_length_and_cost_come_from_how_the_answer_came_about():
    done = Completion(text="one two", output_tokens=3, seconds_to_first_token=0.5, elapsed_seconds=2.0)
    scoring_input = ScoringInput("one two", CASE, completion=done, cost=0.25)
    assert make("latency").score_input(scoring_input).value == 2
    assert make({"latency": {"until": "first_token"}}).score_input(scoring_input).value == 0.5
    values = [
        make({"output_length": {"unit": unit}}).score_input(scoring_input).value
        for unit in ("tokens", "words", "characters")
    ]
    assert values == [3, 2, 7]
    words = make({"output_length": {"unit": "words"}})
    assert [words.score(text, CASE).value for text in ("今天天气很好", "GPT 很好", "don't stop", "Привет, мир!")] == [
        6,
        3,
        2,
        2,
    ]
    assert make("cost").score_input(scoring_input).value == 0.25


def test_a_cached_answer_has_no_latency_and_an_unpriced_one_no_cost():
    scoring_input = ScoringInput("one", CASE, completion=Completion(text="one", elapsed_seconds=2.0), cached=True)
    assert not make("latency").score_input(scoring_input).applies
    assert not make("cost").score_input(scoring_input).applies
    assert not make("latency").score("one", CASE).applies
