"""Measurements from the palette: effects of examples, robustness, scores over runs, thresholds, repeats."""

from __future__ import annotations

import json

import pytest
from conftest import bench_of, settled, until
from test_optimize_screen import RULES, plant
from textual.widgets import Input, Label, TextArea

from workbench.tui.dialogs.measurement_view import MeasurementView
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.dialogs.text_viewer import TextViewer
from workbench.tui.screens.matrix import MatrixScreen
from workbench.tui.widgets.picker import Picker

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


async def test_a_model_judges_the_answers_of_the_newest_run_pairwise(folder, make_app):
    """Its judge prefers the answer Lantern, whichever place it has; a comparison that is left stops."""
    rules = [
        {"contains": "<answer A>\nLantern", "reply": '{"reason": "Right.", "better": "A"}'},
        {"contains": "<answer B>\nLantern", "reply": '{"reason": "Right.", "better": "B"}'},
        {"reply": '{"reason": "Both are wrong.", "better": "tie"}'},
    ]
    for name, found in (("fair", rules), ("slow", [{"hold": "running"}])):
        (folder / f"{name}.script.json").write_text(json.dumps({"rules": found, "context_tokens": 4000}))
    path = folder / "demo.bench.yaml"
    models = "models: {fair: {path: fair.script.json}, slow: {path: slow.script.json}}\n"
    path.write_text(path.read_text() + models)
    app = make_app()
    async with app.run_test(size=WIDE) as pilot:
        bench = await settled(pilot)
        bench.action_do("judge_pairs")
        await until(pilot, lambda: bool(app._notifications))
        assert "No run of this bench" in next(iter(app._notifications)).title
        await pilot.press("f6")
        await until(pilot, lambda: isinstance(app.screen, MatrixScreen))
        await until(pilot, lambda: bench.state.runs.current is not None and not bench.state.runs.running)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is bench)

        async def start(judge: str) -> MeasurementView:
            bench.action_do("judge_pairs")
            await until(pilot, lambda: isinstance(app.screen, Picker) and app.focused is not None)
            await pilot.press(*judge, "enter")
            await until(pilot, lambda: isinstance(app.screen, NameInput) and app.focused is not None)
            assert "in both orders" in str(app.screen.query(Label).first(Label).visual)
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, MeasurementView))
            return app.screen

        view = await start("fair")
        await until(pilot, lambda: bool(view.query_one(TextArea).text))
        lines = view.query_one(TextArea).text.splitlines()
        assert lines[0].split() == ["variant", "rating", "95%", "won", "lost", "tied"]
        assert lines[1].startswith("listed") and lines[1].split()[-2] == "0", "it never loses"
        assert "left the verdict as it was in 100% of the comparisons" in view.query_one(TextArea).text
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is bench)
        view = await start("slow")
        await pilot.press("escape")
        await until(pilot, lambda: not view._measured.running)
        assert view._measured.error is not None and "cancelled" in view._measured.error.message


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
