"""Scorers are chosen on the screen: each with help, options and what it gives the answer on show."""

from __future__ import annotations

from pathlib import Path

from conftest import bench_of, settled, until
from textual.widgets import Input, Static

from workbench.datasets import Case
from workbench.scoring.registry import scorer_kinds
from workbench.scoring.scorer import ScoringInput
from workbench.tui.dialogs.scorers import ScorerChecklist, ScorerRow, describe_example

ANSWER = ScoringInput("It is Lantern.", Case(1, {"message": "The parcel never came."}, "Lantern", 1))


async def opened(pilot) -> ScorerChecklist:
    screen = await settled(pilot)
    screen.action_do("scorers")
    await until(pilot, lambda: isinstance(pilot.app.screen, ScorerChecklist))
    checklist = pilot.app.screen
    await until(pilot, lambda: "this answer" in text(checklist, "#scorer-example"))
    return checklist


def text(checklist: ScorerChecklist, where: str) -> str:
    return str(checklist.query_one(where, Static).visual)


async def highlight(pilot, checklist: ScorerChecklist, kind: str) -> None:
    while checklist._rows[checklist.options.highlighted].kind != kind:
        await pilot.press("down")
    await until(pilot, lambda: kind in text(checklist, "#scorer-help"))


async def test_every_scorer_is_listed_with_its_options_and_scores_the_answer(app):
    async with app.run_test(size=(80, 24)) as pilot:
        checklist = await opened(pilot)
        assert {row.kind for row in checklist._rows} == set(scorer_kinds())
        assert [row.kind for row in checklist._rows if row.on] == ["exact_match"]
        assert "0.00" in text(checklist, "#scorer-example")
        await highlight(pilot, checklist, "contains")
        await until(pilot, lambda: "this answer" in text(checklist, "#scorer-example"))


async def test_a_chosen_scorer_scores_the_panes_at_once_and_is_the_benchs(app):
    async with app.run_test(size=(160, 45)) as pilot:
        checklist = await opened(pilot)
        await highlight(pilot, checklist, "contains")
        await pilot.press("space", "f", "enter")
        bench = bench_of(pilot.app)
        await until(pilot, lambda: pilot.app.screen is bench)
        assert bench.session.bench.scorers == ("contains", "exact_match")
        assert "demo.bench.yaml" in bench.session.unsaved
        await until(
            pilot, lambda: all([s.scorer for s in p.scores] == ["contains", "exact_match"] for p in bench.panes)
        )
        badge = str(bench.panes[0].query_one("#pane-meta", Static).visual)
        assert "contains" in badge and "✗ 0.00 exact match" in badge


async def test_options_are_typed_and_a_wrong_one_is_named_and_keeps_the_list_open(app):
    async with app.run_test(size=(160, 45)) as pilot:
        checklist = await opened(pilot)
        await pilot.press("tab")
        assert isinstance(pilot.app.focused, Input)
        await pilot.press(*"nme: x", "enter", "enter")
        await until(pilot, lambda: "nme" in text(checklist, "#scorer-example"))
        assert pilot.app.screen is checklist
        await pilot.press("tab", "home", *["delete"] * 6, *"name: same", "enter", "enter")
        bench = bench_of(pilot.app)
        await until(pilot, lambda: pilot.app.screen is bench)
        assert bench.session.bench.scorers == ({"exact_match": {"name": "same"}},)


async def test_escape_changes_nothing(app):
    async with app.run_test(size=(160, 45)) as pilot:
        await opened(pilot)
        await pilot.press("down", "space", "escape")
        bench = bench_of(pilot.app)
        await until(pilot, lambda: pilot.app.screen is bench)
        assert bench.session.bench.scorers == ("exact_match",)
        assert bench.session.unsaved == ()


def test_examples_of_scorers_that_cannot_run_here_say_why():
    shown = {kind: describe_example(ScorerRow(kind, "", True), ANSWER, Path()).plain for kind in scorer_kinds()}
    assert all(shown.values())
    assert "✗ 0.00" in shown["exact_match"]
    assert "cannot be read" in describe_example(ScorerRow("exact_match", "a: [", True), ANSWER, Path()).plain
