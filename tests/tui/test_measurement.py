"""Measurements from the palette: effects of examples, robustness, scores over runs, thresholds, repeats."""

from __future__ import annotations

import pytest
from conftest import bench_of, settled, until
from test_optimize_screen import RULES, plant
from textual.widgets import Input, Label, TextArea

from workbench.tui.dialogs.measurement_view import MeasurementView
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.dialogs.text_viewer import TextViewer
from workbench.tui.screens.matrix import MatrixScreen

WIDE = (120, 40)


@pytest.fixture
def measured(folder, make_app):
    """A bench whose one example decides: with it every answer is right, without it none."""
    plant(folder, RULES)
    prompt = folder / "shots.prompty"
    prompt.write_text(prompt.read_text().replace("{{ message }}", "Please answer the message.\n{{ message }}"))
    (folder / "shots.jsonl").write_text('{"id": "e1", "message": "question 1000", "answer": "answer 1000"}\n')
    return make_app(bench="planted.bench.yaml")


async def result(pilot, action: str) -> str:
    """Start an action of the palette; the text that it ends with."""
    bench_of(pilot.app).action_do(action)
    await until(pilot, lambda: isinstance(pilot.app.screen, MeasurementView | TextViewer))
    dialog = pilot.app.screen
    await until(pilot, lambda: bool(dialog.query_one(TextArea).text))
    text = dialog.query_one(TextArea).text
    await pilot.press("escape")
    await until(pilot, lambda: pilot.app.screen is bench_of(pilot.app))
    return text


async def test_effects_and_robustness_are_measured_and_kept_apart_from_the_benchs_runs(measured):
    async with measured.run_test(size=WIDE) as pilot:
        await settled(pilot)
        text = await result(pilot, "effects")
        assert "e1 earns its place beyond chance." in text
        assert "+1.00" in text and "▲ helps" in text
        assert "shots" in await result(pilot, "robustness")
        bench_of(pilot.app).action_do("drift")
        await until(pilot, lambda: bool(pilot.app._notifications) or isinstance(pilot.app.screen, TextViewer))


async def test_what_cannot_be_measured_says_why(measured):
    async with measured.run_test(size=WIDE) as pilot:
        await settled(pilot)
        for action, told in (("scales", "adapter"), ("drift", "No run of this bench"), ("thresholds", "no thresholds")):
            pilot.app.clear_notifications()
            bench_of(pilot.app).action_do(action)
            await until(pilot, lambda: bool(pilot.app._notifications))
            assert told in next(iter(pilot.app._notifications)).title


async def test_scores_over_runs_thresholds_and_repeats(measured, folder):
    path = folder / "planted.bench.yaml"
    path.write_text(path.read_text() + "thresholds: {exact_match: {min: 0.9}}\n")
    async with measured.run_test(size=WIDE) as pilot:
        bench = await settled(pilot)
        bench.action_do("repeats")
        await until(pilot, lambda: isinstance(pilot.app.screen, NameInput))
        pilot.app.screen.query_one(Input).value = "2"
        await pilot.press("enter")
        await until(pilot, lambda: bench.session.bench.repeats == 2)
        await pilot.press("f6")
        await until(pilot, lambda: isinstance(pilot.app.screen, MatrixScreen))
        await until(pilot, lambda: bench.state.runs.current is not None and not bench.state.runs.running)
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is bench)
        assert "(baseline)" in await result(pilot, "drift")
        assert await result(pilot, "thresholds") == "Every threshold is met."


async def test_leaving_a_measurement_stops_it(folder, make_app):
    plant(folder, [{"contains": "question", "where": "prompt", "hold": "running"}, {"reply": "no idea"}])
    app = make_app(bench="planted.bench.yaml")
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.bench_screen is not None and bool(app.bench_screen.panes))
        bench_of(app).action_do("effects")
        await until(pilot, lambda: isinstance(app.screen, MeasurementView))
        view = app.screen
        await until(pilot, lambda: view._measured.progress is not None)
        await until(pilot, lambda: "answers" in str(view.query_one("#measurement-state", Label).visual))
        await pilot.press("escape")
        await until(pilot, lambda: not view._measured.running)
        assert view._measured.result is None
