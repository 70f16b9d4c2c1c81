"""Judges against people's votes and against expected answers."""

from __future__ import annotations

import msgspec
import pytest
from stored_run import answer, make_cases, plain_variants, store_run

from workbench.analysis.judge_check import check_judges
from workbench.analysis.summarizing import compute_summary
from workbench.analysis.votes import Votes
from workbench.scoring.scorer import Score
from workbench.store.runs import MetricRecord

CASES = make_cases(40)
METRICS = (MetricRecord("judge"), MetricRecord("exact_match", binary=True, threshold=1.0))
SCORERS = ({"judge": {"model": "m", "rubric": "Is it right?"}}, "exact_match")


def store_judged(tmp_path, judge, alone=False):
    """`good` is right on every case, `bad` on none; judge(case number, right): its score."""
    cells = []
    for case in CASES:
        for name, text in (("good", case.expected), ("bad", "no")):
            cell = answer(name, case, text)
            score = Score("judge", judge(case.number, name == "good"), text, "")
            cells.append(msgspec.structs.replace(cell, scores=(score,) if alone else (score, *cell.scores)))
    kept = 1 if alone else 2
    variants = plain_variants("good", "bad")
    return store_run(tmp_path / "s.sqlite", variants, CASES, cells, METRICS[:kept], SCORERS[:kept])


def vote(view, count, prefers):
    """People vote on some cases; prefers: the variant, by the case's number."""
    votes = Votes(view.store, view)
    for _ in range(count):
        ballot = votes.next()
        votes.cast(ballot, "left" if ballot.left_variant == prefers(ballot.case) else "right")


def right_except(every):
    """A judge that is wrong on one case in `every`."""
    return lambda number, right: float(right != (number % every == 0))


def test_a_judge_is_held_against_expected_answers_and_votes(tmp_path):
    view = store_judged(tmp_path, right_except(10))
    vote(view, 30, lambda _: "good")
    (found,) = check_judges(view)
    assert found.expected.value == 0.9
    assert (found.expected.n, found.reference) == (40, "exact_match")
    assert found.votes.n == 30
    assert found.votes.low < found.votes.value < found.votes.high
    assert found.reliable


def test_a_judge_that_is_no_better_than_chance_leads_no_table(tmp_path):
    summary = compute_summary(store_judged(tmp_path, right_except(2)))
    assert [metric.name for metric in summary.metrics] == ["exact_match", "judge"]
    assert [metric.main for metric in summary.metrics] == [True, False]
    assert summary.best == "good"
    assert (
        "The judge judge prefers the right answer in 50% (35% to 65%) of 40 pairs where exact match differs."
        " That is not beyond chance; it leads no table." in summary.notes
    )


def test_a_reliable_judge_keeps_its_place(tmp_path):
    summary = compute_summary(store_judged(tmp_path, right_except(10)))
    assert [metric.name for metric in summary.metrics] == ["judge", "exact_match"]


def test_equal_scores_count_half(tmp_path):
    (found,) = check_judges(store_judged(tmp_path, lambda *_: 0.5))
    assert found.expected.value == 0.5
    assert found.reliable is False


def test_a_judge_that_nobody_checked_says_how_to(tmp_path):
    view = store_judged(tmp_path, right_except(10), alone=True)
    (found,) = check_judges(view)
    assert (found.votes, found.expected, found.reliable) == (None, None, None)
    assert any("was not checked: vote on some pairs" in note for note in compute_summary(view).notes)


def test_few_opinions_decide_nothing(tmp_path):
    view = store_judged(tmp_path, right_except(2), alone=True)
    vote(view, 5, lambda _: "good")
    (found,) = check_judges(view)
    assert (found.votes.n, found.reliable) == (5, None)
    assert compute_summary(view).metrics[0].name == "judge"


def test_preferences_of_people_are_told_from_few_votes_and_many_judgements(tmp_path):
    """The judge favours `bad` on every fourth case, people never do."""
    view = store_judged(tmp_path, right_except(4))
    vote(view, 24, lambda _: "good")
    (pair,) = check_judges(view)[0].corrected
    assert (pair.a, pair.b, pair.pairs, pair.votes) == ("bad", "good", 40, 24)
    assert pair.judge == 0.75
    assert pair.people.value == pytest.approx(1.0, abs=0.02)
    (note,) = [note for note in compute_summary(view).notes if note.startswith("People would prefer")]
    assert "by 24 votes and the judge on 40 cases, which says 75%." in note


def test_a_run_without_a_judge_has_none_to_check(tmp_path):
    cells = [answer("a", case, "no") for case in CASES]
    assert check_judges(store_run(tmp_path / "s.sqlite", plain_variants("a"), CASES, cells)) == ()
