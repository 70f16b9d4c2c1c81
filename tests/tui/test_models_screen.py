"""The browser of models and adapters: what it says, and what a person changes in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import settled, until
from textual.widgets import Static

from tests.parrot_server import run_parrot
from workbench.inference.device_inventory import DeviceInventory
from workbench.inference.device_probe import LlamaBuild
from workbench.inference.remote import found_server
from workbench.models.device_share import Device
from workbench.models.reference import Adapter, Model
from workbench.runs.bench import ModelChoice, load_bench
from workbench.tui.dialogs.devices_form import DevicesForm
from workbench.tui.screens.models import ModelsScreen, list_precisions
from workbench.tui.widgets.picker import Picker

ASSETS = Path(__file__).parents[2] / "assets"


@pytest.fixture
def models() -> tuple[Model, ...]:
    return (Model("desk", ASSETS / "desk", "hf"), Model("desk-q8_0", ASSETS / "desk-q8_0.gguf"))


async def browse(pilot, screen, models, name: str) -> ModelsScreen:
    screen.controller.know(models, (Adapter("queues-lora", ASSETS / "queues-lora"),))
    await pilot.press("escape", "M")
    await until(pilot, lambda: isinstance(pilot.app.screen, ModelsScreen))
    pilot.app.screen.bases.select(name)
    return pilot.app.screen


def said(browser: ModelsScreen) -> str:
    return str(browser.query_one("#models-text", Static).visual)


async def test_a_precision_is_chosen_for_a_folder_and_remembered_in_the_bench(app, models, folder, monkeypatch):
    async with app.run_test(size=(160, 45)) as pilot:
        screen = await settled(pilot)
        browser = await browse(pilot, screen, models, "desk")
        await until(pilot, lambda: "float32" in said(browser))
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        notes = {choice.id: choice.note for choice in list_precisions()}
        assert "not installed" in notes["/4bit"]
        assert "not installed" not in notes["bfloat16/"]
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: "bfloat16 (your choice)" in said(browser))
        assert screen.session.bench.models == {"desk": ModelChoice("desk", dtype="bfloat16")}
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: not screen.session.unsaved)
    assert load_bench(folder / "demo.bench.yaml").models["desk"].dtype == "bfloat16"


async def test_a_file_says_that_its_precision_is_its_own(app, models):
    async with app.run_test(size=(160, 45)) as pilot:
        screen = await settled(pilot)
        browser = await browse(pilot, screen, models, "desk-q8_0")
        await until(pilot, lambda: "as stored in the file" in said(browser))
        await pilot.press("p")
        await until(pilot, lambda: bool(app._notifications))
        assert app.screen is browser
        assert screen.session.bench.models == {}


async def test_the_estimate_counts_what_is_laid_over_the_pane(app, models):
    async with app.run_test(size=(160, 45)) as pilot:
        screen = await settled(pilot)
        screen.controller.know(models, (Adapter("queues-lora", ASSETS / "queues-lora"),))
        screen.session.change_variant(0, model="desk")
        browser = await browse(pilot, screen, models, "desk")
        await until(pilot, lambda: "✓ fits" in said(browser))
        assert "adapters" not in said(browser)
        await pilot.press("escape")
        screen.session.add_adapter(0, "queues-lora")
        browser = await browse(pilot, screen, models, "desk")
        await until(pilot, lambda: ", adapters " in said(browser))


async def test_servers_join_the_list_and_i_shows_what_one_does(app, models, monkeypatch):
    with run_parrot() as server:
        monkeypatch.setattr(found_server, "PORTS", {server.port: "vLLM"})
        async with app.run_test(size=(160, 45)) as pilot:
            screen = await settled(pilot)
            browser = await browse(pilot, screen, models, "desk")
            await until(pilot, lambda: server.address in [option.id for option in browser.bases.options])
            assert browser.bases.highlighted_id == "desk", "the selection stays where it was"
            browser.bases.select(server.address)
            await until(pilot, lambda: "not connected; i probes it" in said(browser))
            await pilot.press("i")
            await until(pilot, lambda: "continuation" in said(browser))
            assert "✗ ignored: the server's own" in said(browser)
            await pilot.press("enter")
            await until(pilot, lambda: app.screen is screen)
            assert screen.session.bench.variants[0].model == server.address


async def test_a_model_of_this_machine_has_no_card(app, models):
    async with app.run_test(size=(160, 45)) as pilot:
        screen = await settled(pilot)
        browser = await browse(pilot, screen, models, "desk")
        await pilot.press("i")
        await until(pilot, lambda: bool(app._notifications))
        assert app.screen is browser


async def test_a_server_that_went_away_says_so(app, models, monkeypatch):
    async with app.run_test(size=(160, 45)) as pilot:
        screen = await settled(pilot)
        with run_parrot() as server:
            monkeypatch.setattr(found_server, "PORTS", {server.port: "vLLM"})
            browser = await browse(pilot, screen, models, "desk")
            await until(pilot, lambda: server.address in [option.id for option in browser.bases.options])
        browser.bases.select(server.address)
        await pilot.press("i")
        await until(pilot, lambda: "does not answer" in said(browser))


CARDS = (
    Device("CPU", "A processor", "CPU", 2**32, 2**33, "cpu"),
    Device("CUDA0", "A [b]card[/b]", "CUDA", 20 * 2**20, 2**25),
    Device("CUDA1", "Another", "CUDA", 300 * 2**20, 2**29),
)


def memory_of(form: DevicesForm) -> str:
    return str(form.query_one("#devices-estimate", Static).visual)


def problem_of(form: DevicesForm) -> str:
    return str(form.query_one("#devices-problem", Static).visual)


async def test_devices_are_chosen_with_what_that_takes_on_each_and_kept_in_the_bench(app, models, folder):
    path = folder / "demo.bench.yaml"
    path.write_text(f"# my own words\n{path.read_text()}")
    async with app.run_test(size=(100, 40)) as pilot:
        screen = await settled(pilot)
        screen.controller.pool.devices = DeviceInventory(
            probe=lambda environment, offload: LlamaBuild("0", devices=CARDS)
        )
        browser = await browse(pilot, screen, models, "desk-q8_0")
        await until(pilot, lambda: "CUDA1" in said(browser))
        assert "A [b]card[/b]" in said(browser)
        title = browser.query_one("#models-title", Static)
        await until(pilot, lambda: "CUDA0 20.0 MiB of 32.0 MiB" in str(title.visual))
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, DevicesForm))
        form = app.screen
        await until(pilot, lambda: "CUDA1" in memory_of(form))
        assert "✗" not in memory_of(form)
        await pilot.press(*"all", "down", "0")
        await until(pilot, lambda: "✗ does not fit" in memory_of(form))
        await pilot.press("backspace", "9")
        await until(pilot, lambda: "main_gpu: expected a number below 2, found 9" in memory_of(form))
        await pilot.press("backspace", "-", "1")
        await until(pilot, lambda: "main_gpu: expected a number from 0, found -1" in problem_of(form))
        await pilot.press("enter")
        assert app.screen is form
        await pilot.press("backspace", "backspace", "1", "enter")
        await until(pilot, lambda: app.screen is browser)
        kept = ModelChoice("desk-q8_0", gpu_layers="all", main_gpu=1)
        assert screen.session.bench.models == {"desk-q8_0": kept}
        await until(pilot, lambda: "main_gpu" in said(browser))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: not screen.session.unsaved)
    assert load_bench(path).models == {"desk-q8_0": kept}
    assert path.read_text().startswith("# my own words\n")


async def test_devices_of_a_folder_are_its_own_fields_and_a_server_has_none(app, models):
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot)
        browser = await browse(pilot, screen, models, "desk")
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, DevicesForm))
        form = app.screen
        await pilot.press(*"bfloat16")
        await until(pilot, lambda: "fits" in memory_of(form))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.screen is browser)
        assert screen.session.bench.models["desk"] == ModelChoice("desk", dtype="bfloat16")
        screen.session.remember_model("served", ModelChoice(remote="http://127.0.0.1:1"))
        browser._fill("")
        browser.bases.select("served")
        await pilot.press("d")
        await until(pilot, lambda: bool(app._notifications))
        assert app.screen is browser
