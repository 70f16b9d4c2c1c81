"""The palette, keys in dialogs, one pane on the whole screen, panes in another order, and how to quit."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import settled, until

from workbench.tui.commands import recent_commands
from workbench.tui.dialogs.confirm import ConfirmDialog
from workbench.tui.dialogs.explanation import Explanation
from workbench.tui.dialogs.help import Help
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.dialogs.palette import Palette

SIZE = (80, 24)


async def open_palette(pilot) -> Palette:
    pilot.app.call_later(pilot.app.action_command_palette)
    await until(pilot, lambda: isinstance(pilot.app.screen, Palette) and pilot.app.screen.options.option_count > 0)
    return pilot.app.screen


def rows(palette: Palette) -> list[str]:
    return [str(option.prompt) for option in palette.options.options]


async def test_a_few_letters_find_an_action_and_the_next_time_it_is_on_top(app):
    async with app.run_test(size=SIZE) as pilot:
        screen = await settled(pilot)
        await open_palette(pilot)
        await pilot.press(*"explain s", "enter")
        await until(pilot, lambda: isinstance(app.screen, Explanation))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        first = rows(await open_palette(pilot))[0]
        assert first.startswith("Run") and "Explain score" in first and first.endswith(" e")
        assert recent_commands() == ["explain"]


async def test_every_row_fits_and_groups_stand_together(app):
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        palette = await open_palette(pilot)
        found = rows(palette)
        assert max(map(len, found)) <= palette.options.scrollable_content_region.width
        groups = list(dict.fromkeys(row.split()[0] for row in found))
        assert groups == ["Pane", "Prompt", "Cases", "Run", "Train", "View", "Bench"]
        assert [row.split()[0] for row in found] == sorted((row.split()[0] for row in found), key=groups.index)
        assert any("Suspend" in row for row in found)


async def test_a_screenshot_is_taken_of_what_is_under_the_palette(app, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await open_palette(pilot)
        await pilot.press(*"screenshot", "enter")
        await until(pilot, lambda: bool(list(tmp_path.glob("*.svg"))))
        (picture,) = tmp_path.glob("*.svg")
        assert "Actions" not in picture.read_text() and "Prompt" in picture.read_text()


async def test_a_question_mark_lists_the_keys_of_a_dialog_and_is_typed_in_a_text_field(app):
    async with app.run_test(size=SIZE) as pilot:
        screen = await settled(pilot)
        screen.panes[1].focus()
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, Explanation))
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, Help))
        assert "explanation.leave" in {option.id for option in app.screen.options.options}
        await pilot.press("escape", "escape", "n")
        await until(pilot, lambda: isinstance(app.screen, NameInput))
        await pilot.press("end", "question_mark", "enter")
        await until(pilot, lambda: app.screen is screen)
        await until(pilot, lambda: screen.session.variants[1].name == "listed?")
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, Help))


async def test_z_gives_a_pane_the_whole_screen_and_gives_it_back(app):
    async with app.run_test(size=(160, 45)) as pilot:
        screen = await settled(pilot)
        screen.panes[2].focus()
        await pilot.press("z")
        await until(pilot, lambda: screen.panes[2].region.width == 160)
        assert not screen.edit.display and not screen.panes[0].display
        await pilot.press("right")
        await until(pilot, lambda: screen.panes[3].region.width == 160)
        await pilot.press("z")
        await until(pilot, lambda: screen.edit.display and all(pane.display for pane in screen.panes))
        await pilot.press("z")
        await until(pilot, lambda: not screen.edit.display)
        await pilot.press("f2")
        await until(pilot, lambda: app.focused is screen.edit.editor and screen.edit.display)


async def test_a_pane_moves_with_its_answer_and_stays_chosen(app):
    async with app.run_test(size=(160, 45)) as pilot:
        screen = await settled(pilot)
        pane = screen.panes[0]
        pane.focus()
        await pilot.press("greater_than_sign")
        await until(pilot, lambda: [one.name for one in screen.session.variants] == ["listed", "plain", "bare", "warm"])
        assert screen.panes[1] is pane and screen.controller.chosen == 1 and app.focused is pane
        assert pane.completion.text
        await pilot.press("less_than_sign", "less_than_sign")
        await until(pilot, lambda: screen.panes[0] is pane)
        assert [one.name for one in screen.session.variants] == ["plain", "listed", "bare", "warm"]


async def test_ctrl_c_says_how_to_quit(app):
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("ctrl+c")
        await until(pilot, lambda: any("^q quits" in one.message for one in app._notifications))


async def test_ctrl_c_says_how_to_quit_inside_dialogs_too(app):
    async with app.run_test(size=SIZE) as pilot:
        screen = await settled(pilot)
        screen.panes[0].focus()
        for key, dialog in (("e", Explanation), ("n", NameInput)):
            await pilot.press(key)
            await until(pilot, lambda dialog=dialog: isinstance(app.screen, dialog))
            app.clear_notifications()
            await pilot.press("end", "ctrl+c")  # the name is selected at first, and would be copied
            await until(pilot, lambda: any("^q quits" in one.message for one in app._notifications))
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is screen)


async def test_quitting_from_a_dialog_asks_once_where_something_is_unsaved(app):
    async with app.run_test(size=SIZE) as pilot:
        screen = await settled(pilot)
        await pilot.press("down", "x", "escape", "n")
        await until(pilot, lambda: isinstance(app.screen, NameInput))
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        question = app.screen
        await pilot.press("ctrl+q")
        assert app.screen is question and app.is_running
        assert screen.session.unsaved == ("queues/plain",)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, NameInput))
