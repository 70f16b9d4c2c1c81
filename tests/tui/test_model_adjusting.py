"""The context, the chat template and the devices of a model, from the list of models."""

from __future__ import annotations

from conftest import bench_of, settled, until
from textual.widgets import Input

from workbench.runs.bench import ModelChoice
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.widgets.picker import Picker


async def answer(pilot, title: str, text: str) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, NameInput) and pilot.app.screen._title.startswith(title))
    pilot.app.screen.query_one(Input).value = text
    await pilot.press("enter")


async def test_devices_of_a_model_are_kept_in_the_bench_and_a_wrong_one_is_named(app):
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        bench = bench_of(pilot.app)
        name = "mine"
        bench.session.remember_model(name, ModelChoice("mine.gguf"))
        for devices in ("kv_type: q8_0, gpu_layers: none", "kv_type: q9"):
            bench.action_do("model")
            await until(
                pilot,
                lambda: isinstance(pilot.app.screen, Picker) and pilot.app.screen.options.highlighted is not None,
            )
            await pilot.press("f4")
            await answer(pilot, "Context size", "512")
            await answer(pilot, "Chat template", "-")
            await answer(pilot, "Devices", devices)
            await until(pilot, lambda: pilot.app.screen is bench)
        await until(pilot, lambda: any("kv_type" in notice.title for notice in pilot.app._notifications))
        choice = bench.session.bench.models[name]
        assert (choice.kv_type, choice.gpu_layers, choice.context_tokens) == ("q8_0", "none", 512)
