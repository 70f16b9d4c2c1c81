"""The blind vote: what is put up, what is kept, what comes of it."""

from __future__ import annotations

import json
from collections import Counter

import msgspec
import pytest
from stored_run import answer, make_cases, plain_variants, store_run

from workbench.analysis.preferences import export_preferences
from workbench.analysis.votes import Vote, Votes, rate_votes
from workbench.errors import WorkbenchError
from workbench.prompting.prompt import Example, Prompt

CASES = make_cases(12)


def open_votes(tmp_path, seed=0, names=("a", "b", "c"), cells=None, **options):
    cells = cells or [answer(name, case, f"{name} says {case.number}") for case in CASES for name in names]
    view = store_run(tmp_path / "s.sqlite", plain_variants(*names), CASES, cells, **options)
    return Votes(view.store, view, seed, clock=lambda: 5.0), view


def vote_all(votes, choose):
    ballots = []
    while (ballot := votes.next()) is not None:
        ballots.append(ballot)
        votes.cast(ballot, choose(ballot))
    return ballots


def test_every_pair_of_different_answers_is_put_up_once(tmp_path):
    votes, _ = open_votes(tmp_path)
    ballots = vote_all(votes, lambda ballot: "tie")
    seen = Counter((one.case, frozenset((one.left_variant, one.right_variant))) for one in ballots)
    assert len(seen) == 12 * 3 and set(seen.values()) == {1}


def test_pairs_with_the_fewest_votes_come_first(tmp_path):
    votes, _ = open_votes(tmp_path)
    ballots = vote_all(votes, lambda ballot: "left")
    for start in range(0, len(ballots), 3):
        pairs = {frozenset((one.left_variant, one.right_variant)) for one in ballots[start : start + 3]}
        assert len(pairs) == 3


def test_sides_are_drawn_and_do_not_follow_the_order_of_variants(tmp_path):
    votes, _ = open_votes(tmp_path)
    first = [one.left_variant < one.right_variant for one in vote_all(votes, lambda ballot: "tie")]
    assert 8 <= sum(first) <= 28


def test_the_same_seed_puts_up_the_same_ballots_and_another_one_others(tmp_path):
    orders = []
    for at, seed in enumerate((1, 1, 2)):
        votes, _ = open_votes(tmp_path / str(at), seed)
        orders.append([(one.case, one.left_variant, one.right_variant) for one in vote_all(votes, lambda _: "tie")])
    assert orders[0] == orders[1] != orders[2]


def test_a_ballot_shows_the_answers_of_its_sides(tmp_path):
    votes, _ = open_votes(tmp_path)
    ballot = votes.next()
    assert ballot.left == f"{ballot.left_variant} says {ballot.case}"
    assert ballot.right == f"{ballot.right_variant} says {ballot.case}"
    assert ballot.variables == {"message": f"message {ballot.case}"}


def test_equal_answers_and_failed_cells_are_not_put_up(tmp_path):
    cells = [answer(name, case, " same " if name == "b" else "same") for case in CASES[:6] for name in "ab"]
    cells += [answer("a", case, "x") for case in CASES[6:]]
    cells += [answer("b", case, "half an ans", error="died") for case in CASES[6:]]
    votes, _ = open_votes(tmp_path, names=("a", "b"), cells=cells)
    assert votes.next() is None


def test_votes_are_kept_with_the_side_they_were_cast_on(tmp_path):
    votes, view = open_votes(tmp_path)
    ballot = votes.next()
    votes.cast(ballot, "right")
    (kept,) = Votes(view.store, view).list()
    assert (kept.case, kept.left_variant, kept.right_variant, kept.choice, kept.at) == (
        ballot.case,
        ballot.left_variant,
        ballot.right_variant,
        "right",
        5.0,
    )
    assert (kept.winner, kept.loser) == (ballot.right_variant, ballot.left_variant)


def test_undo_takes_the_last_vote_back_and_puts_its_ballot_up_again(tmp_path):
    votes, _ = open_votes(tmp_path)
    first = votes.next()
    votes.cast(first, "left")
    second = votes.next()
    votes.cast(second, "tie")
    assert votes.undo().choice == "tie"
    assert votes.next() == second
    assert votes.undo().choice == "left"
    assert votes.next() == first
    assert votes.undo() is None
    assert votes.list() == ()


def test_after_an_undo_the_vote_goes_on(tmp_path):
    votes, _ = open_votes(tmp_path)
    votes.cast(votes.next(), "left")
    votes.undo()
    ballots = vote_all(votes, lambda ballot: "left")
    assert len(ballots) == len(votes.list()) == 36


def test_the_preferred_variant_is_rated_best(tmp_path):
    votes, _ = open_votes(tmp_path)
    assert votes.ratings() == ()
    vote_all(votes, lambda one: "left" if one.left_variant < one.right_variant else "right")
    ratings = votes.ratings()
    assert [one.variant for one in ratings] == ["a", "b", "c"]
    assert [(one.wins, one.losses, one.ties) for one in ratings] == [(24, 0, 0), (12, 12, 0), (0, 24, 0)]
    assert all(one.low < one.rating < one.high for one in ratings)
    assert sum(one.rating for one in ratings) == pytest.approx(3000)
    assert ratings[0].chance > 0.9


def test_votes_in_both_orders_and_on_repeats_count_a_case_once():
    once = [Vote("r", case, 0, "a", "b", "left" if case % 4 else "right") for case in range(1, 41)]
    swapped = [Vote("r", one.case, 0, "b", "a", "right" if one.choice == "left" else "left") for one in once]
    repeats = [msgspec.structs.replace(one, repeat=1) for one in once]
    assert rate_votes([*once, *swapped, *repeats], ("a", "b")) == rate_votes(once, ("a", "b"))


def test_two_orders_that_contradict_each_other_are_a_tie():
    votes = [Vote("r", case, 0, *pair, "left") for case in range(1, 31) for pair in (("a", "b"), ("b", "a"))]
    assert [(one.rating, one.ties) for one in rate_votes(votes, ("a", "b"))] == [(pytest.approx(1000), 30)] * 2


def test_ties_make_all_alike(tmp_path):
    votes, _ = open_votes(tmp_path)
    vote_all(votes, lambda ballot: "tie")
    assert [one.rating for one in votes.ratings()] == pytest.approx([1000] * 3)
    assert [one.ties for one in votes.ratings()] == [24] * 3


def short_or_shown(variant):
    shown = variant.name == "b"
    examples = (Example("e1", {"message": "hello"}, "Abacus"),) if shown else ()
    return Prompt(variant.prompt, "user:\n{{ message }}", placement="turns" if shown else "none", examples=examples)


def test_votes_become_preference_pairs_in_the_form_of_trl(tmp_path):
    votes, view = open_votes(tmp_path, names=("a", "b"), prompt=short_or_shown)
    vote_all(votes, lambda one: "tie" if one.case > 2 else "left" if one.left_variant == "b" else "right")
    records = list(export_preferences(view, votes.list(), "a"))
    assert sorted(one["prompt"][0]["content"] for one in records) == ["message 1", "message 2"]
    assert {one["chosen"][0]["content"][0] for one in records} == {"b"}
    assert {one["rejected"][0]["role"] for one in records} == {"assistant"}
    assert json.loads(json.dumps(records)) == records


def test_the_preferred_variants_own_prompt_is_the_default(tmp_path):
    votes, view = open_votes(tmp_path, names=("a", "b"), prompt=short_or_shown)
    vote_all(votes, lambda one: "left" if one.left_variant == "b" else "right")
    (first, *_) = export_preferences(view, votes.list())
    assert [one["role"] for one in first["prompt"]] == ["user", "assistant", "user"]


def test_prompts_that_are_completed_become_plain_text(tmp_path):
    votes, view = open_votes(
        tmp_path, names=("a", "b"), prompt=lambda variant: Prompt("p", "Say: {{ message }}\n", mode="completion")
    )
    votes.cast(votes.next(), "left")
    (record,) = export_preferences(view, votes.list())
    assert record["prompt"].startswith("Say: message ")
    assert isinstance(record["chosen"], str)


def test_an_unknown_prompt_is_said_and_not_guessed(tmp_path):
    votes, view = open_votes(tmp_path)
    votes.cast(votes.next(), "left")
    with pytest.raises(WorkbenchError, match="was not found"):
        list(export_preferences(view, votes.list()))
