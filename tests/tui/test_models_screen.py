"""The browser of models and adapters: what it says, and what a person changes in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import settled, until
from textual.widgets import Static

from tests.parrot_server import run_parrot
from workbench.inference.remote import found_server
from workbench.models.reference import Adapter, Model
from workbench.runs.bench import ModelChoice, load_bench
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
