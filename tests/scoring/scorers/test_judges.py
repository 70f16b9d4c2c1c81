from __future__ import annotations

import json

import pytest

from workbench.datasets import Case
from workbench.errors import ScorerError
from workbench.inference.types import Completion
from workbench.scoring.factory import make_scorers
from workbench.scoring.grader_request import GraderReply
from workbench.scoring.scorer import ScoredSample, ScoringInput

CASE = Case(1, {"message": "Where is my parcel?"}, "Lantern")


def make(kind, folder=None, **options):
    (scorer,) = make_scorers([{kind: {"model": "small", **options}}], folder)
    return scorer


def say(text, stop="eos"):
    return GraderReply(completion=Completion(text=text, output_tokens=9, stop_reason=stop))


def rate(value, key="score"):
    return say(json.dumps({"reason": "because", key: value}))


def judge(scorer, *replies, text="Abacus"):
    return scorer.score_input(ScoringInput(text, CASE, replies))


def test_a_judge_is_shown_the_case_and_held_to_a_form():
    (ask,) = make("judge", rubric="Is the queue right?", points=3).grader_requests("Abacus", CASE)
    assert ask.model == "small"
    shown = ask.messages[-1].content
    for part in ("Where is my parcel?", "Abacus", "Lantern", "Is the queue right?", "from 1 (worst) to 3 (best)"):
        assert part in shown
    schema = ask.sampling.json_schema
    assert list(schema["properties"]) == ["reason", "score"]
    assert schema["properties"]["score"] == {"enum": [1, 2, 3]}
    assert ask.sampling.temperature == 0


def test_a_judge_may_be_kept_from_the_expected_answer_and_from_reasons():
    scorer = make("judge", rubric="Polite?", show_expected=False, reason=False, sampling={"max_tokens": 20})
    (ask,) = scorer.grader_requests("Abacus", CASE)
    assert "Lantern" not in ask.messages[-1].content
    assert list(ask.sampling.json_schema["properties"]) == ["score"]
    assert ask.sampling.max_tokens == 20
    (free,) = make("judge", rubric="Polite?", constrain=False).grader_requests("Abacus", CASE)
    assert free.sampling.json_schema is None


def test_points_and_labels_are_worth_0_to_1():
    score = judge(make("judge", rubric="Good?"), rate(4))
    assert (score.value, score.explanation) == (0.75, "small: 4 of 5. because")
    assert judge(make("judge", rubric="Good?", points=[0, 10]), rate(3)).value == 0.3
    labels = make("judge", rubric="Good?", labels=["bad", "fair", "good"])
    assert "one of: bad, fair, good" in labels.grader_requests("a", CASE)[0].messages[-1].content
    assert judge(labels, rate("Fair")).value == 0.5
    assert judge(make("judge", rubric="Good?", labels={"yes": 1, "partly": 0.3, "no": 0}), rate("partly")).value == 0.3


def test_a_reply_is_read_through_text_around_it_and_line_breaks_within():
    scorer = make("judge", rubric="Good?")
    assert judge(scorer, say('Sure:\n{"reason": "two\nlines", "score": 2}.')).value == 0.25


@pytest.mark.parametrize(
    "text",
    [
        *(
            "4",
            " 4.",
            "Score: 4",
            "I think it is good.\n**Score**: 4, because",
            "'score' = 4",
            "**Score:** 4",
            "Score: **4**",
        ),
        *(
            "4/5",
            "Score: 4/5. Good.",
            "Score: 4 out of 5",
            "Score: 4 of 5",
            "I rate this 4 out of 5.",
            "Score: 4 / 5 points",
        ),
        *(
            "Score:\u200b4",
            "Score：４",
            "Score (1-5): 4",
            "The score is 4.",
            "On a scale of 1 to 5, I give a score of 4.",
        ),
        *("Score: 2 at first.\nFinal score: 4", "Score: 4. A score of 5 would need more."),
        *('{"Score": 4}', '{"score": "4"}', '{"score": 4.0}', '{"score": "4/5"}', '{"result": {"score": 4}}'),
        *(
            'Draft {"score": 1}\nFinal {"score": 4}',
            '```json\n{"reason": "a { b", "score": 4}\n```',
            '{"x": 1} {"score": 4} {"y": 2}',
        ),
    ],
)
def test_a_reply_is_read_where_it_says_one_thing(text):
    assert judge(make("judge", rubric="Good?", constrain=False), say(text)).value == 0.75


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Score: 4.5",
            "Score: 4,5",
            "Score: 4-5",
            "Score: 10",
            "Score: -4",
            "Score: 100%",
            "Score: 8/10",
            "8/10",
            "Five!",
        ),
        *(
            "4/5 for tone, 3/5 for style",
            "1. Good. 2. Bad.",
            "Score: 2 at first.\nFinal score: none",
            "a score of 3, or a score of 4",
        ),
        *(
            '{"score": 9}',
            '{"score": true}',
            '{"score": null}',
            '{"score": [4]}',
            '{"score": "4/10"}',
            '{"score": 1} {"score": 9}',
        ),
    ],
)
def test_a_reply_that_says_several_things_or_none_on_the_scale_is_not_guessed(text):
    score = judge(make("judge", rubric="Good?", constrain=False), say(text))
    assert not score.applies
    assert "cannot be read" in score.explanation


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        *(
            ("A", "A"),
            ("[[B]]", "B"),
            ("Better: A. The other is vague.", "A"),
            ("better: a tie", "tie"),
            ("Better = (B)", "B"),
        ),
        *(('{"Better": "a"}', "A"), ("A tie or B", None), ("better: neither", None), ("Better: A-", "A")),
    ],
)
def test_a_better_answer_is_read_from_plain_words(text, choice):
    from workbench.scoring.judge_panel import read_verdict

    assert read_verdict(say(text), "better", ("A", "B", "tie")).choice == choice


def test_a_label_inside_another_is_not_the_rating():
    scorer = make("judge", rubric="Good?", labels=["toxic", "non-toxic"], constrain=False)
    assert judge(scorer, say("Score: non-toxic")).value == 1
    assert judge(scorer, say("Score: toxic.")).value == 0
    assert not judge(scorer, say("It may be toxic or non-toxic")).applies


def test_a_reply_that_was_cut_after_its_draft_is_not_read_by_the_draft():
    scorer = make("judge", rubric="Good?", constrain=False)
    cut = judge(scorer, say('Draft {"score": 1} but then {"scor', "length"))
    assert (cut.applies, "raise sampling.max_tokens" in cut.explanation) == (False, True)
    assert judge(scorer, say('{"score": 4} and so on and on', "length")).value == 0.75


def test_the_form_of_a_reply_is_told_as_well():
    (ask,) = make("judge", rubric="Good?").grader_requests("a", CASE)
    assert '{"reason": "...", "score": ...}' in ask.messages[0].content
    (ask, _) = make("pairwise", reason=False).grader_requests("a", CASE)
    assert '{"better": ...}' in ask.messages[0].content


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (say('{"reason": "and on and on', "length"), "raise sampling.max_tokens"),
        (say("Five!"), "cannot be read: 'Five!'"),
        (rate(9), "cannot be read"),
        (GraderReply(problem="The model was unloaded."), "The model was unloaded."),
    ],
)
def test_a_reply_that_cannot_be_read_does_not_count(reply, told):
    score = judge(make("judge", rubric="Good?"), reply)
    assert not score.applies
    assert told in score.explanation


def test_several_judges_are_averaged_and_their_agreement_is_told():
    scorer = make("judge", rubric="Good?", model=["one", "two"], points=[1, 3])
    assert [ask.model for ask in scorer.grader_requests("a", CASE)] == ["one", "two"]
    ratings = [(1, 1), (2, 2), (3, 3), (3, 2), (1, 2), (2, None)]
    scores = [judge(scorer, rate(left), rate(right) if right else say("?")) for left, right in ratings]
    assert scores[3].parts == {"one": 1, "two": 0.5}
    assert scores[3].value == 0.75
    assert scores[5].value == 0.5
    values = scorer.summarize([ScoredSample("a", "b", score) for score in scores])
    import krippendorff

    rows = [[left for left, _ in ratings], [right or float("nan") for _, right in ratings]]
    alpha = krippendorff.alpha(rows, level_of_measurement="ordinal")
    assert values["krippendorff_alpha"] == pytest.approx(alpha)
    assert values["mean[one]"] == pytest.approx(0.5)


def test_agreement_is_not_told_where_it_means_nothing():
    scorer = make("judge", rubric="Good?", model=["one", "two"])
    same = judge(scorer, rate(5), rate(5))
    assert "krippendorff_alpha" not in scorer.summarize([ScoredSample("a", "b", same)] * 3)
    alone = make("judge", rubric="Good?")
    assert alone.summarize([ScoredSample("a", "b", judge(alone, rate(5)))]) == {}


def test_a_pair_is_shown_in_both_orders():
    first, second = make("pairwise", rubric="Which is kinder?").grader_requests("Abacus", CASE)
    for ask, order in ((first, ("Abacus", "Lantern")), (second, ("Lantern", "Abacus"))):
        shown = ask.messages[-1].content
        assert shown.index(order[0]) < shown.index(order[1])
        assert "Which is kinder?" in shown
        assert ask.sampling.json_schema["properties"]["better"] == {"enum": ["A", "B", "tie"]}


@pytest.mark.parametrize(
    ("first", "second", "value", "told"),
    [
        ("A", "B", 1, "small: better, in both orders."),
        ("B", "A", 0, "small: worse, in both orders."),
        ("tie", "tie", 0.5, "small: a tie, in both orders."),
        ("A", "A", 0.5, "small changes its mind when the two are swapped."),
        ("A", "tie", 0.75, "small changes its mind when the two are swapped."),
    ],
)
def test_both_orders_count_and_are_told(first, second, value, told):
    score = judge(make("pairwise"), rate(first, "better"), rate(second, "better"))
    assert score.value == value
    lines = score.explanation.splitlines()
    assert lines == [told, f"  shown first: {first}. because", f"  shown second: {second}. because"]
    assert set(score.parts) == {"small", "small, first", "small, second"}


def test_how_far_order_sways_a_judge_is_told_for_the_dataset():
    scorer = make("pairwise", model=["one", "two"])
    swayed = judge(scorer, *(rate(choice, "better") for choice in ("A", "B", "A", "A")))
    assert swayed.parts["one"] == 0.5
    values = scorer.summarize([ScoredSample("a", "b", swayed)])
    assert values["same_in_both_orders"] == 0.5
    assert values["first_preferred"] == 0.75


def test_a_pair_needs_both_orders_and_something_to_compare_with():
    scorer = make("pairwise")
    half = judge(scorer, rate("A", "better"), say("?"))
    assert (half.applies, half.explanation.splitlines()[0]) == (False, "small gave no readable reply in both orders.")
    lacking = scorer.score_input(ScoringInput("a", Case(1, {})))
    assert lacking.explanation == "This case has no expected answer to compare with, or an empty one."
    other = make("pairwise", against="rival")
    case = Case(1, {"message": "m", "rival": "Harbour"})
    asked = other.grader_requests("Abacus", case)[0].messages[-1].content
    assert "Harbour" in asked
    assert "rival" not in asked


def test_a_prompt_of_ones_own_replaces_the_shipped_one(tmp_path):
    (tmp_path / "mine.prompty").write_text("user:\nRate {{ answer }} by {{ rubric }}.", encoding="utf-8")
    scorer = make("judge", tmp_path, rubric="kindness", prompt="mine")
    assert scorer.grader_requests("Abacus", CASE)[0].messages[0].content == "Rate Abacus by kindness."


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        ("judge", {}, "rubric: missing"),
        ("judge", {"rubric": " "}, "rubric is empty"),
        ("judge", {"rubric": "r", "model": []}, "expected the name of a model"),
        ("judge", {"rubric": "r", "model": ["a", "a"]}, "a list of different ones"),
        ("judge", {"rubric": "r", "points": 1}, "points: expected a range"),
        ("judge", {"rubric": "r", "points": 3, "labels": ["a", "b"]}, "either points or labels"),
        ("judge", {"rubric": "r", "labels": ["a"]}, "at least two"),
        ("judge", {"rubric": "r", "labels": {"a": 2, "b": 0}}, "from 0 to 1"),
        ("judge", {"rubric": "r", "prompt": "nowhere"}, "prompt nowhere: no such file"),
        ("pairwise", {"prompt": "strange"}, "It may use input, a, b, rubric, form"),
        ("pairwise", {"modle": "x"}, "did you mean model?"),
    ],
)
def test_a_judge_that_cannot_sit_is_told(tmp_path, kind, options, told):
    (tmp_path / "strange.prompty").write_text("user:\n{{ nonsense }}", encoding="utf-8")
    with pytest.raises(ScorerError) as caught:
        make(kind, tmp_path, **options)
    assert told in caught.value.message
