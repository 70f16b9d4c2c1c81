"""The front matter on the screen: checked while one types, undone, restored after a crash, saved byte for byte."""

from __future__ import annotations

import pytest
from conftest import settled, until

from workbench.runs.session import Session
from workbench.settings import Settings
from workbench.tui.dialogs.front_matter import FrontMatterEditor
from workbench.tui.widgets.editing import TextArea
from workbench.tui.widgets.plain import Static

SIZE = (80, 24)
NAME = "queues/plain"


async def open_editor(pilot, screen) -> TextArea:
    screen.action_do("edit_header")
    dialog = FrontMatterEditor
    await until(pilot, lambda: isinstance(pilot.app.screen, dialog) and bool(pilot.app.screen.query(TextArea)))
    return pilot.app.screen.query_one(TextArea)


async def test_an_edit_is_applied_undone_restored_and_saved(make_app, folder):
    app = make_app()
    file = folder / f"{NAME}.prompty"
    before = file.read_text()
    async with app.run_test(size=SIZE) as pilot:
        screen = await settled(pilot)
        screen.panes[0].focus()
        area = await open_editor(pilot, screen)
        assert area.text == "name: plain\n# a comment that stays\n"
        await pilot.press("ctrl+end", *"description: Routes it.  # mine", "ctrl+s")
        await until(pilot, lambda: app.screen is screen and bool(screen.session.unsaved))
        assert screen.session.prompt(NAME).description == "Routes it."
        await pilot.press("ctrl+z")
        await until(pilot, lambda: not screen.session.unsaved)
        await pilot.press("ctrl+y")
        await until(pilot, lambda: screen.session.unsaved == (NAME,))
    restored = Session(folder / "demo.bench.yaml", Settings())
    assert restored.recovered == (NAME,)
    assert restored.save() == (NAME,)
    wanted = before.replace("stays\n", "stays\ndescription: Routes it.  # mine\n")
    assert file.read_text() == wanted


async def test_what_is_wrong_is_said_and_not_applied_and_nothing_typed_is_lost_by_one_esc(app):
    async with app.run_test(size=SIZE) as pilot:
        screen = await settled(pilot)
        area = await open_editor(pilot, screen)
        dialog = app.screen
        state = dialog.query_one("#header-state", Static)
        await until(pilot, lambda: "chat" in str(state.visual))
        await pilot.press("ctrl+end", *"inputs: [")
        await until(pilot, lambda: "plain.prompty:4: the front matter is not YAML" in str(state.visual))
        await pilot.press("ctrl+s", "escape")
        await until(pilot, lambda: any("esc again discards" in one.title for one in app._notifications))
        assert app.screen is dialog and area.text.endswith("inputs: [")
        await pilot.press("x", "escape")
        assert app.screen is dialog and area.text.endswith("inputs: [x")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        assert not screen.session.unsaved


async def test_a_comment_is_unsaved_work_but_asks_nothing_anew(app):
    async with app.run_test(size=SIZE) as pilot:
        screen = await settled(pilot)
        spec = screen.controller.runner.shown(screen.panes[0])
        await open_editor(pilot, screen)
        await pilot.press("ctrl+end", *"# why", "ctrl+s")
        await until(pilot, lambda: app.screen is screen and screen.session.unsaved == (NAME,))
        assert screen.session.spec(0) == spec
        assert not screen.panes[0].stale


@pytest.mark.parametrize("typed", ["description: Kept.", "inputs: ["])
async def test_what_is_typed_is_restored_after_a_kill_or_kept_in_a_file(make_app, folder, monkeypatch, typed):
    monkeypatch.setattr("workbench.tui.dialogs.front_matter._KEEP_SECONDS", 0.01)
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        screen = await settled(pilot)
        await open_editor(pilot, screen)
        await pilot.press("ctrl+end", *typed)
        autosaves = screen.session.autosaves
        await until(pilot, lambda: any(text.endswith(typed) for text in autosaves.all().values()))
        killed = Session(folder / "demo.bench.yaml", Settings())
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.screen is screen)
    if "[" in typed:
        assert not killed.recovered
        (problem,) = killed.problems
        assert "unsaved front matter of `queues/plain` is wrong" in problem.message
        assert "is kept in" in problem.hint
    else:
        assert killed.prompt(NAME).description == "Kept."
        assert killed.recovered == (NAME,)
