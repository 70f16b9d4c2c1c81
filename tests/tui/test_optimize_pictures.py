"""Pictures of a prompt search at a fixed size, from a fixed state: nothing of it is searched here."""

from __future__ import annotations

import pytest
from conftest import bench_of, settled, until
from textual.widgets import Input

from workbench.analysis.summary import Estimate
from workbench.prompting.prompt import Example
from workbench.search.budget import SearchBudget, Spending
from workbench.search.candidate import Candidate
from workbench.search.journal import (
    BestChanged,
    CandidateDropped,
    CandidateEvaluated,
    CandidateProposed,
    CandidateRefused,
    CaseResult,
    Refusal,
    SearchEnded,
    SearchSpent,
    SearchStarted,
)
from workbench.search.request import SearchRequest
from workbench.search.result import PartScores, SearchResult
from workbench.tui.prompt_searches import PromptSearchTask
from workbench.tui.screens.optimize import OptimizeScreen

WIDE, NARROW = (160, 45), (80, 24)
PLACES = ("Lantern", "Abacus", "Harbour")
BODY = "system:\nRoute the message.\n\nuser:\n{{ message }}\n"
BETTER = "system:\nRoute the message to one of the queues.\nAnswer with the name alone.\n\nuser:\n{{ message }}\n"
SHOTS = tuple(Example(f"t{n}", {"message": f"Message {n}, and a little more of it."}, PLACES[n % 3]) for n in range(4))


def answers(right: set[int], count: int = 40) -> tuple[CaseResult, ...]:
    return tuple(
        CaseResult(n, 1.0, PLACES[n % 3], prompt_tokens=60)
        if n in right
        else CaseResult(n, 0.0, "Refunds", f"Expected {PLACES[n % 3]!r}, got 'Refunds'.", prompt_tokens=60)
        for n in range(1, count + 1)
    )


def scores(value: float) -> Estimate:
    return Estimate(value, value - 0.1, value + 0.08, 40)


def fill(task: PromptSearchTask) -> None:
    """A search that found an improvement, with candidates in every state."""
    seed = Candidate("c0", "", BODY)
    asked = Candidate("c1", "c0", BETTER, origin="reflection", reason="Answers were not names of queues: say so.")
    shown = Candidate("c2", "c1", BETTER, SHOTS, "turns", origin="examples", reason="one example of each answer")
    lost = Candidate("c3", "c0", BODY, SHOTS[:1], "turns", origin="examples", reason="adds t0")
    bad = Candidate("c4", "c1", "user:\nAnswer.\n", origin="reflection", reason="Shorter.")
    part = Candidate("c5", "c2", BETTER, SHOTS[:3], "turns", origin="examples", reason="without t3")
    figures = PartScores(scores(0.3), scores(0.8), 0.5, 0.3, 0.7, 0.001, 0.004, 3, "mcnemar", 40)
    test = PartScores(scores(0.32), scores(0.72), 0.4, 0.2, 0.6, 0.002, 0.002, 1, "mcnemar", 40)
    ended = SearchResult(
        shown,
        seed,
        True,
        "there was nothing left to try",
        "exact_match",
        dev=figures,
        test=test,
        openings=1,
        candidates=5,
    )
    for record in (
        SearchStarted(request=task.request, seed=seed, parts={"train": 40, "dev": 40, "test": 40}, best_possible=1.0),
        CandidateEvaluated(candidate="c0", part="dev", results=answers(set(range(1, 13)))),
        CandidateProposed(candidate=asked),
        CandidateProposed(candidate=shown),
        CandidateProposed(candidate=lost),
        CandidateRefused(candidate=bad, refusals=(Refusal("variables", "The template no longer has message."),)),
        CandidateEvaluated(candidate="c1", part="dev", results=answers(set(range(5, 29)))),
        CandidateEvaluated(candidate="c3", part="dev", results=answers({1, 2}, 10)),
        CandidateDropped(candidate="c3", reason="its interval lies below that of c1"),
        CandidateEvaluated(candidate="c2", part="dev", results=answers(set(range(3, 35)))),
        BestChanged(candidate="c2", score=0.8),
        CandidateProposed(candidate=part),
        SearchSpent(spending=Spending(1203, 80, 150_000, 4_000, 92.0, 0.02, 3)),
        SearchEnded(result=ended),
    ):
        task.state.add(record)


@pytest.fixture(autouse=True)
def stillness(monkeypatch: pytest.MonkeyPatch) -> None:
    """No blinking, no sliding: a picture must not depend on the moment."""
    monkeypatch.setattr(Input, "_toggle_cursor", lambda _self: None)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_a_search(snap_compare, app, size):
    async def act(pilot) -> None:
        pilot.app.animation_level = "none"
        screen = await settled(pilot)
        request = SearchRequest("demo.bench.yaml", "plain", "both", SearchBudget(calls=2000), reflector="desk")
        task = PromptSearchTask(lambda _: pytest.fail("nobody is asked"), request)
        fill(task)
        screen.state.searches.current = task
        bench_of(pilot.app).panes[0].focus()
        await pilot.press("O")
        await until(pilot, lambda: isinstance(pilot.app.screen, OptimizeScreen))
        await until(pilot, lambda: pilot.app.screen.view.candidate is not None)
        await until(pilot, lambda: "hand-written" in str(pilot.app.screen.query_one("#optimize-title").visual))
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=act)
