"""The prompt editor: selecting all, completion, find and replace, stale answers."""

from __future__ import annotations

from conftest import settled, until
from textual.widgets.text_area import Selection

from workbench.settings import Settings

SIZE = (160, 45)


async def test_the_whole_prompt_is_selected_and_its_ends_are_reached(app):
    async with app.run_test(size=SIZE) as pilot:
        editor = (await settled(pilot)).edit.editor
        before = editor.text
        await pilot.press("ctrl+end")
        assert editor.cursor_location == editor.document.end
        await pilot.press("ctrl+home")
        assert editor.cursor_location == (1, 0)
        await pilot.press("alt+a", "delete")
        assert editor.text == ""
        await pilot.press("ctrl+z")
        assert editor.text == before


async def test_a_variable_is_completed_by_tab(app):
    async with app.run_test(size=SIZE) as pilot:
        screen = await settled(pilot)
        editor = screen.edit.editor
        await pilot.press("end", *" {{ me")
        assert editor.suggestion == "ssage }}"
        assert "message = The parcel never came." in str(editor.border_subtitle)
        await pilot.press("tab")
        assert editor.document[1] == "Route the message. {{ message }}"
        assert screen.focused is editor
        assert not editor.suggestion


async def test_the_cursor_is_where_it_was_in_each_prompt_and_after_a_change_from_outside(app):
    async with app.run_test(size=SIZE) as pilot:
        screen = await settled(pilot)
        editor = screen.edit.editor
        editor.move_cursor((4, 3))
        await pilot.press("f8")
        await until(pilot, lambda: editor.prompt == "queues/listed")
        assert editor.cursor_location == (1, 0)
        editor.move_cursor((5, 2))
        await pilot.press("f7")
        await until(pilot, lambda: editor.prompt == "queues/plain")
        assert editor.cursor_location == (4, 3)
        screen.session.edit_prompt("queues/plain", editor.text.replace("Route the", "Route this"))
        await screen.controller.refresh()
        assert "Route this" in editor.text and editor.cursor_location == (4, 3)
        await pilot.press("f8")
        await until(pilot, lambda: editor.prompt == "queues/listed")
        assert editor.cursor_location == (5, 2)


async def test_find_and_replace(app):
    async with app.run_test(size=SIZE) as pilot:
        screen = await settled(pilot)
        editor, bar = screen.edit.editor, screen.edit.find_bar
        await pilot.press("ctrl+f", *"message")
        assert editor.selection == Selection((1, 10), (1, 17))
        await pilot.press("enter")
        assert editor.selection == Selection((4, 3), (4, 10))
        await pilot.press("up", "tab", *"letter", "enter")
        assert editor.document[1] == "Route the letter."
        await pilot.press("f4")
        assert editor.document[4] == "{{ letter }}"
        await pilot.press("escape")
        assert screen.focused is editor
        assert not bar.display
        await pilot.press("ctrl+z")
        assert editor.document[4] == "{{ message }}"


async def test_answers_to_another_prompt_are_marked_stale_while_live_is_off(make_app):
    app = make_app(Settings(live=False, live_delay_ms=1))
    async with app.run_test(size=SIZE) as pilot:
        screen = await settled(pilot)
        plain, listed = screen.panes[:2]
        if screen.session.live:
            await pilot.press("ctrl+l")
        await pilot.press("x")
        await until(pilot, lambda: plain.stale)
        assert not listed.stale
        assert str(plain.border_subtitle).startswith("stale")
        await pilot.press("ctrl+z")
        await until(pilot, lambda: not plain.stale)
        await pilot.press("y")
        await until(pilot, lambda: plain.stale)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: not plain.stale and plain.state == "done")
