"""The best and the worst answer to each case become a pair; what decides nothing is counted."""

from __future__ import annotations

import pytest
from stored_run import answer, make_cases, plain_variants, store_run

from workbench.analysis.preferences import write_preferences
from workbench.analysis.score_pairs import export_pairs, pair_by_score
from workbench.analysis.votes import Votes
from workbench.errors import WorkbenchError
from workbench.prompting.prompt import Prompt
from workbench.scoring.scorer import Score
from workbench.store.runs import MetricRecord

CASES = make_cases(4)


def graded(variant, case, text, value, repeat=0):
    cell = answer(variant, case, text, repeat)
    return type(cell)(
        variant, case.number, cell.completion, (Score("grade", value, text, ""), *cell.scores), repeat=repeat
    )


def view_of(tmp_path, cells, lower=False):
    metrics = (MetricRecord("grade", lower_is_better=lower), MetricRecord("exact_match", binary=True))
    return store_run(
        tmp_path / "runs.sqlite",
        plain_variants("short", "long"),
        CASES,
        cells,
        metrics,
        ("exact_match",),
        lambda variant: Prompt(variant.name, f"system:\nBe {variant.name}.\n\nuser:\n{{{{ message }}}}\n"),
    )


@pytest.fixture
def cells():
    first, second, third, fourth = CASES
    return [
        graded("short", first, "good", 0.9), graded("long", first, "bad", 0.2),
        graded("short", second, "same", 0.5), graded("long", second, "other", 0.5),
        graded("short", third, "alone", 0.5),
        graded("short", fourth, "a", 0.1, 0), graded("short", fourth, "b", 0.6, 1), graded("long", fourth, "c", 0.7),
    ]  # fmt: skip


def test_best_and_worst_of_all_answers_to_a_case(tmp_path, cells):
    found = pair_by_score(view_of(tmp_path, cells))
    assert [(one.case, one.chosen, one.rejected, one.winner) for one in found.pairs] == [
        (1, "good", "bad", "short"),
        (4, "c", "a", "long"),
    ]
    assert (found.equal, found.single) == (1, 1)


def test_the_repeats_of_one_variant(tmp_path, cells):
    found = pair_by_score(view_of(tmp_path, cells), variant="short")
    assert [(one.chosen, one.rejected) for one in found.pairs] == [("b", "a")]
    assert (found.equal, found.single) == (0, 3)


def test_a_margin_leaves_out_what_is_too_close(tmp_path, cells):
    found = pair_by_score(view_of(tmp_path, cells), margin=0.65)
    assert [one.case for one in found.pairs] == [1]
    assert found.equal == 2


def test_less_is_better_where_the_scorer_says_so(tmp_path, cells):
    found = pair_by_score(view_of(tmp_path, cells, lower=True))
    assert [(one.chosen, one.rejected) for one in found.pairs] == [("bad", "good"), ("a", "c")]


def test_records_are_those_of_trl_behind_the_prompt_of_the_better_or_a_named_variant(tmp_path, cells):
    view = view_of(tmp_path, cells)
    pairs = pair_by_score(view).pairs
    own, named = list(export_pairs(view, pairs)), list(export_pairs(view, pairs, "long"))
    assert [record["prompt"][0]["content"] for record in own] == ["Be short.", "Be long."]
    assert [record["prompt"][0]["content"] for record in named] == ["Be long.", "Be long."]
    assert own[0]["chosen"] == [{"role": "assistant", "content": "good"}]
    assert own[0]["inputs"] == {"message": "message 1"}


def test_what_is_not_there_is_named(tmp_path, cells):
    view = view_of(tmp_path, cells)
    with pytest.raises(WorkbenchError, match="No such variant: longer"):
        pair_by_score(view, variant="longer")
    with pytest.raises(WorkbenchError, match="no metric 'fame'"):
        pair_by_score(view, "fame")


def test_votes_are_written_as_pairs_and_none_is_an_error(tmp_path, cells):
    view = view_of(tmp_path, cells)
    votes = Votes(view.store, view)
    with pytest.raises(WorkbenchError, match="No vote has preferred an answer"):
        write_preferences(votes, tmp_path)
    ballot = votes.next()
    assert ballot is not None
    votes.cast(ballot, "left")
    second = votes.next()
    assert second is not None
    votes.cast(second, "tie")
    written = write_preferences(votes, tmp_path)
    assert (written.pairs, written.ties) == (1, 1)
    assert len(written.path.read_text().splitlines()) == 1
