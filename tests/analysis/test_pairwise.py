from __future__ import annotations

import asyncio
import json

import pytest

from tests.runs.evaluating import CASES, Desk, bench
from workbench.analysis.pairwise import choose_pairs, rate_matches, run_matches
from workbench.errors import BenchError, ModelError
from workbench.inference.client import EngineClient
from workbench.runs.bench import Variant
from workbench.runs.view import RunView
from workbench.scoring.scorers.pairwise import PairwiseConfig

GOOD, BAD = "a good answer", "a bad answer"
FAIR = [
    {"regex": rf"<answer A>\s*{GOOD}", "reply": '{"reason": "it is good", "better": "A"}'},
    {"regex": rf"<answer B>\s*{GOOD}", "reply": '{"reason": "it is good", "better": "B"}'},
    {"reply": '{"reason": "both are bad", "better": "tie"}'},
]
SWAYED = [{"reply": '{"reason": "I like the first", "better": "A"}'}]


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path)
    made.model("good", rules=[{"reply": GOOD}])
    made.model("bad", rules=[{"contains": "message 1", "reply": GOOD}, {"reply": BAD}])
    made.model("fair", rules=FAIR)
    made.model("also fair", rules=FAIR)
    made.model("swayed", rules=SWAYED)
    made.model("silent", rules=[{"reply": "Hm."}])
    yield made
    made.close()


@pytest.fixture
def view(desk):
    variants = [Variant(name, "plain", name) for name in ("good", "bad")]
    evaluation = desk.evaluation(bench(*variants, Variant("also bad", "other", "bad")))
    list(evaluation.events())
    return RunView(desk.store, evaluation.run)


def compare(desk, view, *models, against="", limit=None):
    judge = PairwiseConfig(model=models).build(desk.folder)

    async def run():
        pairs = choose_pairs(view, against)
        return [match async for match in run_matches(view, judge, pairs, desk.pool(), desk.sources, limit)]

    matches = asyncio.run(run())
    return matches, rate_matches(view, judge, matches)


def test_answers_that_differ_are_compared_in_both_orders(desk, view):
    matches, result = compare(desk, view, "fair")
    assert {(match.a, match.b) for match in matches} == {("good", "bad"), ("good", "also bad")}
    assert len(matches) == 2 * (len(CASES) - 1)
    assert all(match.score.value == 1 for match in matches)
    assert "it is good" in matches[0].score.explanation
    assert result.ratings[0].variant == "good"
    assert (result.ratings[0].wins, result.ratings[0].losses) == (2 * (len(CASES) - 1), 0)
    assert result.values["same_in_both_orders"] == 1
    assert result.values["first_preferred"] == 0.5


def test_a_judge_that_order_sways_decides_nothing(desk, view):
    _, result = compare(desk, view, "swayed", against="good")
    assert result.values["same_in_both_orders"] == 0
    assert result.values["first_preferred"] == 1
    assert all(one.wins == one.losses for one in result.ratings)


def test_several_judges_vote_and_their_agreement_is_told(desk, view):
    matches, result = compare(desk, view, "fair", "swayed", limit=3)
    assert {match.case for match in matches} == {2, 3}
    assert result.values["mean[fair]"] == 1
    assert result.values["mean[swayed]"] == 0.5
    assert "krippendorff_alpha" in result.values


def test_what_no_judge_decided_is_counted_and_has_no_vote(desk, view):
    matches, result = compare(desk, view, "silent")
    assert result.undecided == len(matches) > 0
    assert result.ratings == ()


def test_a_judge_is_not_told_whose_answers_they_are(desk, view, monkeypatch):
    asked = []
    complete = EngineClient.complete

    async def listen(client, request):
        asked.append(json.dumps([message.content for message in request.messages]))
        return await complete(client, request)

    monkeypatch.setattr(EngineClient, "complete", listen)
    matches, _ = compare(desk, view, "fair")
    assert len(asked) == 2 * len(matches)
    assert not any("also bad" in text for text in asked)


def test_matches_that_nobody_waits_for_any_more_are_cancelled(desk, view):
    judge = PairwiseConfig(model="fair").build(desk.folder)

    async def take_one():
        matches = run_matches(view, judge, choose_pairs(view), desk.pool(), desk.sources)
        first = await anext(matches)
        await matches.aclose()
        await asyncio.sleep(0)  # lets the cancelled tasks end
        return first, [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    first, left = asyncio.run(take_one())
    assert first.score.value == 1
    assert all(task.cancelling() for task in left)


def test_a_contest_that_cannot_be_held_is_told(desk, view):
    with pytest.raises(BenchError, match="No such variant: nobody"):
        choose_pairs(view, "nobody")
    with pytest.raises(ModelError, match="no model absent"):
        compare(desk, view, "absent")


def test_both_orders_and_several_judges_are_no_more_cases_than_one(desk, view):
    """Ratings from two judges in two orders are as uncertain as those from one judge, who says the same."""
    alone, together = (compare(desk, view, *models, against="good")[1] for models in (("fair",), ("fair", "also fair")))
    for one, other in zip(alone.ratings, together.ratings, strict=True):
        assert (one.low, one.high) == pytest.approx((other.low, other.high))
        assert one.wins + one.losses + one.ties == other.wins + other.losses + other.ties
