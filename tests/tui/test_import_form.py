"""A file of another tool becomes the open bench by the form, which shows what is lost before it writes."""

from __future__ import annotations

import pytest
from conftest import until
from textual.widgets import Input, TextArea

from workbench.inference.pool import Pool
from workbench.runs.session import Session
from workbench.settings import Settings
from workbench.tui.actions.palette import ACTIONS
from workbench.tui.app import WorkbenchApp
from workbench.tui.app_state import AppState
from workbench.tui.dialogs.import_form import ImportForm

CONFIG = """
prompts: ["Say {{word}}"]
providers: [echo]
tests: [{vars: {word: "[red]hello[/red]"}, assert: [{type: contains, value: hello}, {type: javascript, value: x}]}]
"""


@pytest.fixture
def app(folder, monkeypatch):
    own = folder.parent / "own"
    own.mkdir()
    (own / "promptfooconfig.yaml").write_text(CONFIG)
    (own / "m.script.json").write_text('{"rules": [{"reply": "hello"}]}')
    monkeypatch.chdir(own)
    pool, settings = Pool(), Settings(live_delay_ms=1)
    session = Session(folder / "demo.bench.yaml", settings)
    yield WorkbenchApp(settings, lambda: AppState(session, pool, (), complete=True))
    pool.close()


async def open_form(pilot) -> ImportForm:
    await until(pilot, lambda: pilot.app.bench_screen is not None and pilot.app.bench_screen.is_mounted)
    screen = pilot.app.bench_screen
    screen.ui.start(ACTIONS["import"].start(screen.controller, screen.ui))
    await until(pilot, lambda: isinstance(pilot.app.screen, ImportForm) and pilot.app.screen.is_mounted)
    return pilot.app.screen


def preview(form) -> str:
    return form.query_one("#import-preview", TextArea).text


@pytest.mark.parametrize("size", [(160, 45), (80, 24)])
async def test_the_losses_stand_there_before_anything_is_written(app, folder, size):
    own = folder.parent / "own"
    async with app.run_test(size=size) as pilot:
        form = await open_form(pilot)
        form.query_one("#import-file", Input).value = "promptfooconfig.yaml"
        await until(pilot, lambda: "promptfoo" in preview(form) and "assertions" in preview(form))
        form.query_one("#import-model", Input).value = "m.script.json"
        await until(pilot, lambda: "1 of 2 assertions cannot run here: javascript" in preview(form))
        assert not (own / "own.bench.yaml").exists()
        await pilot.press("enter")
        await until(pilot, lambda: (own / "own.bench.yaml").exists())
        await until(pilot, lambda: app.bench_screen and app.bench_screen.session.path.name == "own.bench.yaml")
        assert app.bench_screen.session.bench.dataset.checks == "checks"


async def test_what_cannot_be_read_is_said_in_the_form(app):
    async with app.run_test(size=(100, 30)) as pilot:
        form = await open_form(pilot)
        form.query_one("#import-file", Input).value = "missing.yaml"
        await until(pilot, lambda: "No such file" in preview(form))
        await pilot.press("enter")
        await pilot.pause()
        assert app.screen is form
