"""The verdict screen: its form, the verdict in the background, the page it shows, the files it writes."""

from __future__ import annotations

import json

import msgspec
import pytest
from arena import add_adapter, build_arena
from conftest import bench_of, settled, until
from textual.widgets import Input, Static

from workbench.analysis.summary import Estimate
from workbench.runs.matrix_rows import Metric
from workbench.training.verdict import BreakEven, ConditionResult, CurvePoint, Recommendation, TrainingCost, Verdict
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.screens.verdict import VerdictScreen
from workbench.tui.verdict_text import describe_cost, lay_table
from workbench.tui.widgets.picker import Picker

WIDE, NARROW = (160, 45), (80, 24)
METRIC = Metric("exact_match", binary=True, main=True)


@pytest.fixture
def arena(folder, make_app):
    """The app on a bench with splits, and an adapter that is always right."""
    build_arena(folder)
    add_adapter("mine", 1.7e9, 1.0)
    return make_app(bench="arena.bench.yaml")


async def open_verdict(pilot) -> VerdictScreen:
    await settled(pilot)
    await pilot.press("f10")
    await until(pilot, lambda: isinstance(pilot.app.screen, VerdictScreen))
    return pilot.app.screen


async def judged(pilot, screen: VerdictScreen) -> None:
    await pilot.press("ctrl+r")
    await until(pilot, lambda: screen.current is not None and not screen.current.running)
    screen.poll()


def shown(screen, id: str) -> str:
    return str(screen.query_one(id, Static).visual)


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_an_adapter_is_weighed_and_the_verdict_written(arena, tmp_path, monkeypatch, size):
    """It is written where the person stands."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    async with arena.run_test(size=size) as pilot:
        screen = await open_verdict(pilot)
        await judged(pilot, screen)
        assert "Use the adapter mine with the short prompt" in shown(screen, "#verdict-headline")
        await until(pilot, lambda: shown(screen, "#verdict-table").count("\n") == 5)  # once it has a width
        table = shown(screen, "#verdict-table")
        assert "1.00  .91–1.00" in table
        assert "better" in table and "worse" in table
        assert "400 rows" in shown(screen, "#verdict-cost")
        assert "Adapter is better than best prompt (wordy)" in shown(screen, "#verdict-why")
        assert "not on the test split" in shown(screen, "#verdict-caveats")
        assert screen.metric == "exact_match"
        await pilot.press("m")
        assert screen.metric == "token_f1"
        await until(pilot, lambda: "token f1" in shown(screen, "#verdict-table"))
        for ending, begins in (("json", "{"), ("md", "# Verdict"), ("html", "<!")):
            await pilot.press("w")
            await until(pilot, lambda: isinstance(pilot.app.screen, Picker))
            await pilot.press(*{"html": "HTML", "md": "Mark", "json": "JSON"}[ending], "enter")
            await until(pilot, lambda: isinstance(pilot.app.screen, NameInput))
            pilot.app.screen.query_one(Input).value = f"found.{ending}"
            await pilot.press("enter")
            await until(pilot, (folder / f"found.{ending}").exists)
            await until(pilot, lambda: pilot.app.screen is screen)
            assert (folder / f"found.{ending}").read_text().startswith(begins)
        assert json.loads((folder / "found.json").read_text())["training"]["adapter"] == "mine"


async def test_the_adapter_that_was_weighed_opens_as_a_pane(arena):
    async with arena.run_test(size=WIDE) as pilot:
        screen = await open_verdict(pilot)
        await judged(pilot, screen)
        await pilot.press("f4")
        await until(pilot, lambda: pilot.app.screen is bench_of(pilot.app))
        await until(pilot, lambda: len(bench_of(pilot.app).panes) == 4)
        assert any(variant.name.endswith("mine") for variant in bench_of(pilot.app).session.variants)


async def test_prices_that_are_typed_give_the_training_a_price(arena):
    async with arena.run_test(size=WIDE) as pilot:
        screen = await open_verdict(pilot)
        screen.form.write("price_hour", "3600")
        screen.form.write("limit", "10")
        await judged(pilot, screen)
        assert screen.verdict is not None
        assert screen.verdict.training.money == pytest.approx(9.0)
        assert screen.verdict.cases == 10
        assert "9 in money" in shown(screen, "#verdict-cost")


async def test_everything_that_cannot_be_understood_is_told_at_once_and_nothing_begins(arena):
    async with arena.run_test(size=WIDE) as pilot:
        screen = await open_verdict(pilot)
        for line, text in (("limit", "many"), ("curve", "10,x"), ("price_input", "-1")):
            screen.form.write(line, text)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: bool(pilot.app._notifications))
        title = next(iter(pilot.app._notifications)).title
        assert "cases: expected" in title
        assert "numbers of rows" in title
        assert "price, input" in title
        assert screen.current is None


async def test_a_verdict_that_cannot_be_reached_says_why_where_it_would_stand(folder, make_app):
    build_arena(folder)
    async with make_app(bench="arena.bench.yaml").run_test(size=NARROW) as pilot:
        screen = await open_verdict(pilot)
        await judged(pilot, screen)
        assert "No trained adapter fits" in shown(screen, "#verdict-note")
        assert "workbench train --bench" in shown(screen, "#verdict-note")


async def test_a_verdict_goes_on_elsewhere_and_can_be_stopped(folder, make_app):
    build_arena(folder, [{"contains": "question 1", "hold": "running"}, {"reply": "no idea"}])
    add_adapter("mine", 1.7e9, 1.0)
    async with make_app(bench="arena.bench.yaml").run_test(size=WIDE) as pilot:
        screen = await open_verdict(pilot)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: screen.current is not None and screen.current.progress is not None)
        current = screen.current
        assert current is not None
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is bench_of(pilot.app))
        await pilot.press("f10")
        await until(pilot, lambda: isinstance(pilot.app.screen, VerdictScreen))
        again = pilot.app.screen
        assert again.current is current and current.running
        await pilot.press("f7")
        await until(pilot, lambda: not current.running)
        again.poll()
        assert current.result is None
        assert "Stopped" in shown(again, "#verdict-note")


async def test_keys_that_would_do_nothing_are_not_in_the_footer(arena):
    async with arena.run_test(size=WIDE) as pilot:
        screen = await open_verdict(pilot)
        before = {one.binding.id for one in screen.active_bindings.values()}
        await judged(pilot, screen)
        await until(pilot, lambda: "verdict.report" in {one.binding.id for one in screen.active_bindings.values()})
        assert "verdict.report" not in before
        assert "verdict.stop" not in {one.binding.id for one in screen.active_bindings.values()}


def highlighted_entry(condition: str, value: float) -> ConditionResult:
    score = {"exact_match": Estimate(value, value - 0.05, value, 200)}
    name, prompt = f"a {condition} of a very long name", "queues/a-prompt-of-a-long-name"
    return ConditionResult(condition, name, prompt, "desk", "mine", score,
                    1234.0, 56.0, 0.123, 12.5, 0.0123, 200, 3)  # type: ignore[arg-type]  # fmt: skip


@pytest.mark.parametrize("width", [76, 112, 158])
def test_a_table_is_never_wider_than_its_screen_and_its_columns_line_up(width):
    conditions = tuple(
        highlighted_entry(condition, 0.5)
        for condition in ("zero-shot", "few-shot", "best prompt", "adapter", "adapter, few-shot")
    )
    told = Recommendation("adapter", "Use it.")
    cost = TrainingCost("mine", 74.0, 68_000, 400, 0.5)
    even = (BreakEven("money", 0.5, 0.0, None), BreakEven("tokens", 68_000.0, 5.0, 13_600))
    verdict = Verdict("b", "r", "test.jsonl", METRIC, 200, conditions, (), cost, even, told, metrics=(METRIC,))
    lines = lay_table(verdict, METRIC, width).plain.split("\n")
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(lines[0]) <= width
    assert "never in money · after 13,600 requests in tokens" in describe_cost(verdict).plain


async def test_a_curve_of_rows_stands_beside_one_of_shots(arena):
    async with arena.run_test(size=WIDE) as pilot:
        screen = await open_verdict(pilot)
        await judged(pilot, screen)
        assert screen.verdict is not None and screen.current is not None
        assert screen.view.query_one("#verdict-no-curve").display
        score = Estimate(0.5, 0.4, 0.6, 100)
        points = (CurvePoint("rows", 10, score), CurvePoint("rows", 400, score), CurvePoint("shots", 0, score))
        screen.current.result = msgspec.structs.replace(screen.verdict, curve=points)
        screen.current.version += 1
        screen.poll()
        await until(pilot, lambda: screen.view.query_one("#verdict-rows").display)
        assert screen.view.query_one("#verdict-shots").display
        assert not screen.view.query_one("#verdict-no-curve").display
