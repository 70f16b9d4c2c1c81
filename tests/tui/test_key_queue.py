"""Keys that arrive at once, as over a slow line, act in the order in which they were typed."""

from __future__ import annotations

import pytest
from conftest import bench_of, settled, until
from textual.events import Key, Paste
from textual.widgets import Input

from workbench.tui.dialogs.palette import Palette
from workbench.tui.key_queue import KeyQueue
from workbench.tui.widgets.prompt_editor import PromptEditor


@pytest.fixture(autouse=True)
def patient_queue(monkeypatch):
    """No key is let go because this machine is busy."""
    for limit in ("_LONGEST_WAIT", "_LONGEST_ACTION"):
        monkeypatch.setattr(f"workbench.tui.key_queue.{limit}", 3600)


def type_at_once(app, *keys: str) -> None:
    """Hand the app all keys before it can handle one."""
    for key in keys:
        app._driver.send_message(Key(key, key if len(key) == 1 else None))


async def test_letters_wait_for_the_key_that_moves_the_cursor(app):
    async with app.run_test() as pilot:
        screen = await settled(pilot)
        editor = screen.query_one(PromptEditor)
        editor.focus()
        await until(pilot, lambda: app.focused is editor)
        type_at_once(app, "ctrl+end", *"word", "ctrl+home", "ctrl+end", *"more")
        await until(pilot, lambda: "more" in editor.text)
        assert editor.text.endswith("wordmore")


async def test_letters_go_to_the_field_that_the_key_before_them_chose(app):
    async with app.run_test() as pilot:
        screen = await settled(pilot)
        editor = screen.query_one(PromptEditor)
        editor.focus()
        await until(pilot, lambda: app.focused is editor)
        before = editor.text
        type_at_once(app, "tab", "shift+tab", "ctrl+end", *"abc", "tab", *"q")
        await until(pilot, lambda: app.focused is not editor)
        await until(pilot, lambda: not app._keys._waiting and not app._keys._under_way)
        assert editor.text == f"{before}abc"


async def test_letters_go_to_the_dialog_that_the_key_before_them_opened(app):
    async with app.run_test() as pilot:
        await settled(pilot)
        app.action_command_palette()
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is bench_of(app))
        keys = app.screen.active_bindings
        palette = next(key for key, active in keys.items() if active.binding.id == "app.palette")
        type_at_once(app, palette, *"zoom")
        await until(pilot, lambda: isinstance(app.screen, Palette) and app.screen.query_one(Input).value == "zoom")


@pytest.mark.parametrize("key", ["ctrl+o", "ctrl+t", "f10", "f12"])
async def test_letters_wait_for_the_dialog_that_an_action_opens(app, key):
    """On the bench `x` closes a pane."""
    async with app.run_test() as pilot:
        screen = await settled(pilot)
        await pilot.press("escape")
        type_at_once(app, key, *"xx")
        await until(pilot, lambda: app.screen is not screen)
        await until(pilot, lambda: not app._keys._waiting and not app._keys._under_way)
        assert len(screen.session.variants) == 4


async def test_what_is_pasted_waits_its_turn(app):
    async with app.run_test() as pilot:
        screen = await settled(pilot)
        editor = screen.query_one(PromptEditor)
        editor.focus()
        await until(pilot, lambda: app.focused is editor)
        type_at_once(app, "ctrl+end")
        app._driver.send_message(Paste("pasted"))
        type_at_once(app, "x")
        await until(pilot, lambda: editor.text.endswith("pastedx"))


async def test_a_marker_that_never_comes_back_holds_no_key_for_good(app, monkeypatch):
    monkeypatch.setattr("workbench.tui.key_queue._LONGEST_WAIT", 0.01)
    monkeypatch.setattr(KeyQueue, "on_marker", lambda self, marker: _nothing())
    async with app.run_test() as pilot:
        screen = await settled(pilot)
        editor = screen.query_one(PromptEditor)
        editor.focus()
        await until(pilot, lambda: app.focused is editor)
        type_at_once(app, *"abc")
        await until(pilot, lambda: "abc" in editor.text)


async def _nothing() -> None:
    pass


async def test_a_key_waits_no_longer_for_one_that_closed_a_dialog(app):
    """The marker is lost with the field of the dialog."""
    async with app.run_test() as pilot:
        screen = await settled(pilot)
        editor = screen.query_one(PromptEditor)
        editor.focus()
        await until(pilot, lambda: app.focused is editor)
        editor.move_cursor(editor.document.end)
        before = editor.text
        for typed in range(1, 11):
            type_at_once(app, "ctrl+backslash", *"role", "ctrl+backslash", "x")
            await until(pilot, lambda typed=typed: editor.text == before + "x" * typed)


async def test_a_key_that_comes_after_the_end_is_dropped(app):
    async with app.run_test() as pilot:
        await settled(pilot)
    assert not app.screen_stack
    await app._keys.put(Key("a", "a"))
    assert not app._keys._waiting
