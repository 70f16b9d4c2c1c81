"""The context, the chat template and the devices of a model, from the list of models."""

from __future__ import annotations

from pathlib import Path

from conftest import bench_of, settled, until
from textual.widgets import Input, Static

from workbench.inference.types import Chunk, Progress
from workbench.runs.bench import ModelChoice
from workbench.tui.dialogs.devices_form import DevicesForm
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.widgets.picker import Picker

FILE = Path(__file__).parents[2] / "assets" / "desk-q8_0.gguf"


async def answer(pilot, title: str, text: str) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, NameInput) and pilot.app.screen._title.startswith(title))
    pilot.app.screen.query_one(Input).value = text
    await pilot.press("enter")


async def test_devices_of_a_model_are_kept_in_the_bench_and_a_wrong_one_is_named(app):
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        bench = bench_of(pilot.app)
        bench.session.remember_model("mine", ModelChoice(str(FILE)))
        bench.action_do("model")
        await until(
            pilot,
            lambda: isinstance(pilot.app.screen, Picker) and pilot.app.screen.options.highlighted is not None,
        )
        await pilot.press("f4")
        await answer(pilot, "Context size", "512")
        await answer(pilot, "Chat template", "-")
        await until(pilot, lambda: isinstance(pilot.app.screen, DevicesForm))
        form = pilot.app.screen
        form.query_one("#devices-gpu_layers", Input).value = "none"
        form.query_one("#devices-kv_type", Input).value = "q9"
        await pilot.press("enter")
        assert pilot.app.screen is form
        assert "kv_type" in str(form.query_one("#devices-problem", Static).visual)
        form.query_one("#devices-kv_type", Input).value = "q8_0"
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is bench)
        choice = bench.session.bench.models["mine"]
        assert (choice.kv_type, choice.gpu_layers, choice.context_tokens) == ("q8_0", "none", 512)


async def test_a_pane_says_what_its_model_waits_for_until_it_loads(app):
    note = "b waits until a is idle: it takes 60 B on CUDA0, and 40 B are free there."
    async with app.run_test(size=(120, 40)) as pilot:
        pane = (await settled(pilot)).panes[0]
        pane.begin()
        for _ in range(2):  # it is told again whenever somebody asks
            pane.feed([Progress(1, "loading", None, note)])
        assert (pane.output.text, pane.state) == (note, "loading")
        pane.feed([Progress(1, "loading", 0.5)])
        assert pane.output.text == ""
        pane.feed([Progress(1, "loading", None, note), Progress(1, "queued"), Progress(1, "running")])
        pane.feed([Chunk(1, "Lantern"), Chunk(1, stop_reason="eos")])
        assert pane.output.text == "Lantern"
        pane.begin()
        pane.feed([Progress(1, "loading", None, note), Chunk(1, stop_reason="cancelled")])
        assert (pane.output.text, pane.state) == ("", "cancelled")
