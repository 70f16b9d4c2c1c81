"""A prompt search in rows and sentences: lineage, figures, gains and losses, what fits a width."""

from __future__ import annotations

import pytest

from workbench.search.budget import SearchBudget, Spending
from workbench.search.candidate import Candidate
from workbench.search.journal import (
    CandidateDropped,
    CandidateEvaluated,
    CandidateProposed,
    CandidateRefused,
    CaseResult,
    Refusal,
    SearchSpent,
    SearchStarted,
)
from workbench.search.request import SearchRequest
from workbench.search.state import SearchState
from workbench.tui.prompt_searches import PromptSearchTask
from workbench.tui.search_text import (
    compare_cases,
    describe_cases,
    describe_change,
    describe_counts,
    describe_row,
    describe_title,
    list_lineage,
    show_score,
)

REQUEST = SearchRequest("b", "v", budget=SearchBudget(calls=2000), reflector="big")


def results(*values: float | None) -> tuple[CaseResult, ...]:
    return tuple(CaseResult(n, value, f"a{n}", f"why {n}") for n, value in enumerate(values, start=1))


def make_state(lower: bool = False) -> SearchState:
    state = SearchState()
    seed = Candidate("c0", "", "user:\n{{ x }}\n")
    state.add(SearchStarted(request=REQUEST, seed=seed, parts={"dev": 3}, best_possible=1.0, lower_is_better=lower))
    for number, parent in ((1, "c0"), (3, "c1"), (10, "c0")):
        body = f"system:\nTry {number}.\n\nuser:\n{{{{ x }}}}\n"
        state.add(
            CandidateProposed(candidate=Candidate(f"c{number}", parent, body, origin="template", reason="because"))
        )
    refused = Candidate("c2", "c1", "user:\nx\n", origin="reflection", reason="shorter")
    state.add(CandidateRefused(candidate=refused, refusals=(Refusal("variables", "x is lost"), Refusal("roles", "r"))))
    state.add(CandidateEvaluated(candidate="c0", part="dev", results=results(1.0, 0.0, None)))
    state.add(CandidateEvaluated(candidate="c1", part="dev", results=results(0.0, 1.0, 1.0)))
    state.add(CandidateEvaluated(candidate="c10", part="dev", results=results(1.0)))
    return state


def test_candidates_stand_under_their_parents_in_the_order_of_their_numbers():
    rows = list_lineage(make_state())
    assert [(row.candidate.id, row.depth) for row in rows] == [("c0", 0), ("c1", 1), ("c2", 2), ("c3", 2), ("c10", 1)]


def test_refused_and_dropped_ones_can_be_left_out_and_their_children_are_not_lost():
    state = make_state()
    state.add(CandidateDropped(candidate="c1", reason="worse"))
    assert [row.candidate.id for row in list_lineage(state, whole=False)] == ["c0", "c10", "c3"]


def test_a_row_says_how_many_cases_a_partial_figure_is_of():
    state = make_state()
    shown = {row.candidate.id: describe_row(row, state).plain.strip() for row in list_lineage(state)}
    assert shown["c0"].startswith("★ c0  0.50")
    assert "hand-written" in shown["c0"]
    assert shown["c1"].startswith("● c1  0.67")
    assert shown["c10"].startswith("○ c10  1.00 on 1")
    assert "waiting" in shown["c3"]
    assert shown["c2"] == "✗ c2  refused: variables, roles"


def test_a_metric_that_is_better_when_lower_is_shown_in_its_own_direction():
    state = make_state(lower=True)
    state.add(CandidateEvaluated(candidate="c3", part="dev", results=results(-0.25, -0.25, -0.25)))
    assert show_score(state, "c3") == pytest.approx(0.25)


def test_gains_and_losses_are_counted_and_what_one_has_no_score_for_is_not_compared():
    state = make_state()
    found, same, alone = compare_cases(state, "c1", "c0")
    assert [(one.case, one.change) for one in found] == [(1, -1.0), (2, 1.0)]
    assert (same, alone) == (0, 1)
    text = describe_cases(next(row for row in list_lineage(state) if row.candidate.id == "c1"), state).plain
    assert "gained 1  lost 1  same 0  not comparable 1" in text
    assert "- 1" in text and "why 1" in text


def test_the_change_has_its_reason_its_refusals_and_the_lines_that_differ():
    state = make_state()
    rows = {row.candidate.id: row for row in list_lineage(state)}
    assert "refused: variables: x is lost" in describe_change(rows["c2"], state).plain
    text = describe_change(rows["c3"], state).plain
    assert text.startswith("because")
    assert "-Try 1." in text and "+Try 3." in text


@pytest.mark.parametrize("width", [60, 80, 160])
def test_title_and_counts_fit_every_width_and_begin_with_what_matters(width):
    task = PromptSearchTask(lambda _: pytest.fail("nobody is asked"), REQUEST)
    task.state = make_state()
    task.state.add(SearchSpent(spending=Spending(1234, 5, 150_000, 4_000, 92.0, 0.5, 7)))
    counts = describe_counts(task, width)
    assert len(counts) <= width
    assert counts.startswith(" 1,234 of 2,000 calls")
    assert ("best c0 0.50, hand-written 0.50" in counts) == (width >= 60)
    assert describe_title(task, "v", "a.bench.yaml", width).cell_length <= width
