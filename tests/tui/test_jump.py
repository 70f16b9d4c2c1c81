"""Jump mode: the letters stand on what they mean, and typing one moves the cursor there."""

from __future__ import annotations

import pytest
from conftest import settled, until

from workbench.tui.dialogs.pane_settings import PaneSettings
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.jump import JumpView, find_targets
from workbench.tui.widgets.plain import Label


async def open_letters(pilot) -> dict[str, Label]:
    """The letters on the screen, each with its label."""
    await pilot.press("ctrl+g")
    await until(pilot, lambda: isinstance(pilot.app.screen, JumpView) and bool(pilot.app.screen.query(Label)))
    return {str(label.visual).strip(): label for label in pilot.app.screen.query(Label)}


@pytest.mark.parametrize("size", [(160, 45), (80, 24)])
async def test_a_letter_stands_on_every_place_and_goes_there(app, size):
    async with app.run_test(size=size) as pilot:
        screen = await settled(pilot)
        screen.panes[1].focus()
        await until(pilot, lambda: screen.controller.chosen == 1)
        places = {(target.widget, target.row) for target in find_targets(screen)}
        assert {(screen.edit.examples, row) for row in range(3)} <= places
        for widget in (screen.edit.editor, *screen.edit.case.query("CaseField"), screen.panes[1]):
            assert (widget, None) in places
        for index in range(len(places)):
            count = len(find_targets(screen))  # another pane may have another prompt, with other examples
            letters = await open_letters(pilot)
            assert len(letters) == count
            letter, label = list(letters.items())[index % count]
            target = app.screen._targets[letter]
            await until(pilot, lambda label=label, target=target: label.region.offset == target.offset)
            await pilot.press(letter)
            await until(pilot, lambda target=target: app.focused is target.widget)
            if target.row is not None:
                assert screen.edit.examples.highlighted == target.row


async def test_esc_and_other_keys_leave_everything_as_it_was(app):
    async with app.run_test(size=(160, 45)) as pilot:
        screen = await settled(pilot)
        editor = screen.edit.editor
        before = editor.text, editor.selection
        await open_letters(pilot)
        await pilot.press("1", "enter", "escape")
        await until(pilot, lambda: app.screen is screen)
        assert app.focused is editor
        assert (editor.text, editor.selection) == before


async def test_the_fields_of_a_dialog_have_letters_too(app):
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot)
        screen.panes[0].focus()
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, PaneSettings) and bool(app.screen.query(Input)))
        dialog = app.screen
        await until(pilot, lambda: bool(find_targets(dialog)))
        letters = await open_letters(pilot)
        wanted = app.screen._targets[list(letters)[2]].widget
        await pilot.press(list(letters)[2])
        await until(pilot, lambda: app.screen is dialog and app.focused is wanted)
