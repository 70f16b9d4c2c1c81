"""Choices as the field's datasets hold them, and which of them an answer names."""

from __future__ import annotations

import json

import pytest

from workbench.datasets import Case
from workbench.inference.types import Likelihood
from workbench.scoring.factory import make_scorers
from workbench.scoring.grader_request import GraderReply, LoglikelihoodCall
from workbench.scoring.scorer import ScoringInput
from workbench.scoring.scorers.multiple_choice import ChoiceList

ARC = json.dumps({"text": ["x", "y", "z"], "label": ["A", "B", "C"]})
NUMBERED = json.dumps({"text": ["x", "y", "z"], "label": ["1", "2", "3"]})
OBJECTS = json.dumps([{"text": "x", "label": "A"}, {"text": "y", "label": "B"}])
MMLU = '["x", "y", "z", "w"]'


def find(held, expected, answer="auto"):
    choices = ChoiceList.read("choices", {"choices": held})
    return choices.texts[choices.find(expected, answer).position]


@pytest.mark.parametrize(
    ("held", "expected", "text"),
    [
        (ARC, "B", "y"),
        (ARC, "z", "z"),
        (NUMBERED, "2", "y"),
        (OBJECTS, "b", "y"),
        ('{"A": "x", "B": "y"}', "B", "y"),
        (MMLU, "2", "z"),
        (MMLU, "0", "x"),
        (MMLU, "D", "w"),
        ("[2, 1.50, 3]", "1.50", "1.50"),
        ("[2, 1, 3]", "1", "1"),
        ('["<", ">"]', ">", ">"),
        ('["a", "A"]', "A", "A"),
        ('["(0, 1)", "[0, 1]"]', "[0, 1]", "[0, 1]"),
        ('["cafe\\u0301", "the"]', "café", "café"),
    ],
)
def test_the_expected_choice_is_found_by_label_text_letter_or_index(held, expected, text):
    import unicodedata

    assert unicodedata.normalize("NFC", find(held, expected)) == text


def test_an_answer_may_say_how_it_counts():
    assert find(MMLU, "1", "index") == "y"
    assert find(MMLU, "1", "number") == "x"
    for expected, answer in (
        ("4", "index"),
        ("0", "number"),
        ("5", "auto"),
        ("E", "letter"),
        ("A", "label"),
        ("q", "text"),
    ):
        with pytest.raises(ValueError, match="is not one of the choices: x, y, z, w"):
            find(MMLU, expected, answer)
    with pytest.raises(ValueError, match="not one of the choices: A: x, B: y, C: z"):
        find(ARC, "q")


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ("x, y", "no JSON list of choices"),
        ('"x"', "nor texts with labels"),
        ('["x"]', "fewer than two choices"),
        ('{"text": ["x", "y"], "label": ["A"]}', "2 choices but 1 label"),
        ("[null, true]", "nor texts with labels"),
        ("[[1], [2]]", "nor texts with labels"),
    ],
)
def test_what_holds_no_choices_is_told(held, told):
    with pytest.raises(ValueError, match=told):
        ChoiceList.read("choices", {"choices": held})


def test_choices_may_stand_in_columns_of_their_own():
    (scorer,) = make_scorers([{"multiple_choice": {"column": ["A", "B", "C"]}}])
    case = Case(1, {"A": "x", "B": "y", "C": "z"}, "C")
    assert scorer.grader_requests("", case) == (LoglikelihoodCall(("x", "y", "z")),)
    likelihoods = tuple(Likelihood(value, 1, 1, False) for value in (-3.0, -2.0, -1.0))
    score = scorer.score_input(ScoringInput("", case, (GraderReply(likelihoods=likelihoods),)))
    assert (score.value, score.extracted) == (1, "C")
    lacking = scorer.score_input(ScoringInput("", Case(1, {"A": "x"}, "C")))
    assert lacking.explanation == "This case has no column B, C; it has A."


def test_the_chosen_one_is_named_as_the_expected_answer_is_named():
    likelihoods = tuple(Likelihood(value, 1, 1, False) for value in (-1.0, -2.0, -3.0))
    for held, expected, name in ((ARC, "B", "A"), (NUMBERED, "2", "1"), ('["x", "y", "z"]', "y", "x")):
        (scorer,) = make_scorers([{"multiple_choice": {"column": "choices"}}])
        score = scorer.score_input(
            ScoringInput("", Case(1, {"choices": held}, expected), (GraderReply(likelihoods=likelihoods),))
        )
        assert (score.value, score.extracted) == (0, name)


@pytest.mark.parametrize("delimiter", ["", " "])
def test_the_ways_to_choose_are_those_of_lm_eval(delimiter):
    """acc takes the highest log-likelihood, acc_norm that over the choice's characters, acc_bytes over its bytes."""
    choices = ("été", "a very long choice", "no")
    logprobs = (-4.0, -9.0, -3.5)
    (scorer,) = make_scorers([{"multiple_choice": {"choices": choices, "delimiter": delimiter}}])
    replies = (GraderReply(likelihoods=tuple(Likelihood(value, 2, 99, False) for value in logprobs)),)
    lengths = {"raw": [1, 1, 1], "characters": [3, 18, 2], "bytes": [5, 18, 2]}
    for expected in range(3):
        score = scorer.score_input(ScoringInput("", Case(1, {}, choices[expected]), replies))
        for way, divisors in lengths.items():
            values = [logprob / length for logprob, length in zip(logprobs, divisors, strict=True)]
            assert score.parts[way] == (values.index(max(values)) == expected)
