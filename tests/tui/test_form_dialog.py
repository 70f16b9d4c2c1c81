"""Dialogs in which a text is typed: one esc does not throw it away."""

from __future__ import annotations

import pytest
from conftest import settled, until

from workbench.datasets.spec import Dataset
from workbench.tui.dialogs.dataset_view import DatasetView
from workbench.tui.dialogs.example_editor import ExampleEditor
from workbench.tui.dialogs.pane_settings import PaneSettings
from workbench.tui.widgets.dialog import FormDialog
from workbench.tui.widgets.editing import Input, TextArea


@pytest.mark.parametrize(("place", "key", "kind"), [("pane", "s", PaneSettings), ("examples", "a", ExampleEditor)])
async def test_the_second_esc_leaves(app, place, key, kind):
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot)
        (screen.panes[0] if place == "pane" else screen.edit.examples).focus()
        before = screen.session.bench, screen.session.prompts.contents
        for typed in ("", "x"):
            await pilot.press(key)
            await until(pilot, lambda: isinstance(app.screen, FormDialog) and bool(app.screen.query("Input, TextArea")))
            dialog = app.screen
            assert type(dialog) is kind
            app.clear_notifications()
            if typed:
                field = (*dialog.query(Input), *dialog.query(TextArea))[0]
                field.focus()
                await pilot.press("end", typed, "escape")
                await until(pilot, lambda: any("esc again" in one.title for one in app._notifications))
                assert app.screen is dialog
                await pilot.press(typed, "escape")
                assert app.screen is dialog
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is screen)
        assert (screen.session.bench, screen.session.prompts.contents) == before


async def test_what_was_typed_about_the_dataset_needs_a_second_esc(app, folder):
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot)
        view = DatasetView(Dataset("cases.jsonl"), folder)
        app.push_screen(view)
        await until(pilot, lambda: app.screen is view and bool(view.query(Input)))
        view.query_one("#dataset-expected", Input).focus()
        await pilot.press(*"answer", "escape")
        assert app.screen is view
        await pilot.press("ctrl+u", "ctrl+z", "escape")
        await until(pilot, lambda: app.screen is screen)
