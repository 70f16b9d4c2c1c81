"""The keys: each can be changed by its id, and none of a screen lies above the keys of a text field."""

from __future__ import annotations

import pytest
from conftest import settled, until
from textual.binding import Binding
from textual.events import Key
from textual.widgets.text_area import Selection

from tests.documents.keys import find_bindings, group_keys
from workbench.settings import Settings
from workbench.tui.dialogs.help import Help
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.widgets.editing import Input, TextArea
from workbench.tui.widgets.picker import Picker
from workbench.tui.widgets.text_keys import AREA_KEYS, LINE_KEYS

READLINE = {
    *(f"ctrl+{letter}" for letter in "abdefhknpuw"),
    *(f"alt+{letter}" for letter in "bfd"),
    "ctrl+x",
    "ctrl+c",
    "ctrl+v",
    "ctrl+z",
    "ctrl+y",
    "alt+backspace",
}
ABOVE_A_LIST = {
    (f"{list}.{way}", key) for list in ("picker", "files") for way, key in (("up", "ctrl+p"), ("down", "ctrl+n"))
}
"""a line has no line above or below; the list under it has"""
WIDE = (160, 45)


def split(binding: Binding) -> set[str]:
    return set(binding.key.split(","))


def test_no_screen_takes_a_key_from_a_text_field():
    taken = {
        (binding.id, key)
        for owner, binding in find_bindings()
        if binding.priority and not issubclass(owner, (Input, TextArea))
        for key in split(binding) & READLINE
    }
    assert taken == ABOVE_A_LIST


def test_every_key_has_an_id_and_words():
    found = list(find_bindings())
    assert len(found) > 200
    assert [(owner.__name__, one.key) for owner, one in found if not one.id or not one.description] == []


def test_an_id_is_one_action_in_words():
    rows = [row for group in group_keys().values() for row in group]
    assert len({id for id, _, _ in rows}) == len(rows)
    words: dict[str, set[str]] = {}
    for _, binding in find_bindings():
        words.setdefault(str(binding.id), set()).add(binding.description)
    assert {id for id, found in words.items() if len(found) > 1} == set()


def test_both_kinds_of_text_fields_have_the_keys_of_a_shell():
    wanted = READLINE - {"ctrl+h", "ctrl+x", "ctrl+c", "ctrl+v"}  # terminals send ctrl+h as backspace
    area = set().union(*map(split, AREA_KEYS))
    line = set().union(*map(split, LINE_KEYS))
    assert wanted <= area
    assert wanted - {"ctrl+n", "ctrl+p"} <= line


async def test_keys_of_a_shell_edit_the_prompt(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        editor = screen.edit.editor
        editor.load_text("one two three\nfour")
        editor.selection = Selection.cursor((0, 7))
        await pilot.press("ctrl+a")
        assert editor.cursor_location == (0, 0)
        await pilot.press("alt+f", "ctrl+b")
        assert editor.cursor_location == (0, 2)
        await pilot.press("ctrl+d", "ctrl+e", "ctrl+w")
        assert editor.document[0] == "on two "
        await pilot.press("alt+b", "ctrl+k")
        assert editor.document[0] == "on "
        await pilot.press("ctrl+n", "ctrl+e", "ctrl+u", "ctrl+p", "ctrl+a", "alt+d")
        assert editor.text == " \n"
        assert len(screen.panes) == 4 and app.screen is screen and screen.session.number == 1


@pytest.mark.parametrize("field", ["prompt", "name"])
async def test_a_letter_with_alt_is_not_typed(app, field):
    """Terminals send it with its character, which the pilot leaves out."""
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        if field == "name":
            screen.panes[0].focus()
            await pilot.press("n")
            await until(pilot, lambda: isinstance(app.screen, NameInput) and bool(app.screen.query(Input)))
        target = app.focused
        assert isinstance(target, (Input, TextArea))
        await pilot.press("home")
        before = read(target)
        app.post_message(Key("alt+q", "q"))
        app.post_message(Key("alt+d", "d"))
        await until(pilot, lambda: read(target) != before)
        row = before.split("\n")[1] if field == "prompt" else before
        assert read(target) == before.replace(row, row.removeprefix(row.split()[0]))


def read(field: Input | TextArea) -> str:
    return field.value if isinstance(field, Input) else field.text


async def test_letters_in_a_text_that_cannot_be_edited_start_nothing(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        editor = screen.edit.editor
        editor.read_only = True
        await pilot.press(*"DMEg2[")
        await until(pilot, lambda: app.focused is editor)
        assert app.screen is screen and len(screen.panes) == 4 and screen.controller.chosen == 0
        assert "bench.duplicate" not in {one.binding.id for one in screen.active_bindings.values()}


async def test_keys_of_a_shell_edit_a_line(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        screen.panes[0].focus()
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, NameInput) and bool(app.screen.query(Input)))
        field = app.screen.query_one(Input)
        field.value = "one two three"
        field.cursor_position = 13
        await pilot.press("ctrl+a", "ctrl+f", "ctrl+d", "ctrl+e", "ctrl+w", "alt+b", "ctrl+k")
        assert field.value == "oe "
        await pilot.press("ctrl+u")
        assert field.value == ""
        assert isinstance(app.screen, NameInput)


async def test_a_key_of_text_is_changed_everywhere_by_its_id_and_the_lists_say_so(make_app):
    app = make_app(Settings(live_delay_ms=1, keymap={"text.line_start": "alt+h", "pane.rename": "r"}))
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        editor = screen.edit.editor
        await pilot.press("end", "alt+h")
        assert editor.cursor_location[1] == 0
        screen.panes[0].focus()
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, NameInput) and bool(app.screen.query(Input)))
        field = app.screen.query_one(Input)
        await pilot.press("end", "alt+h", "x")
        assert field.value == "xplain"
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, Help) and app.screen.options.option_count > 0)
        rows = {option.id: str(option.prompt) for option in app.screen.options.options}
        assert rows["pane.rename"].split()[1] == "r"


async def test_a_key_of_a_list_works_only_where_its_command_is_offered(app):
    async with app.run_test(size=WIDE) as pilot:
        screen = await settled(pilot)
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(app.screen, Picker) and app.screen.options.option_count > 1)
        shown = {one.binding.id for one in app.screen.active_bindings.values()}
        assert {"picker.rename", "picker.duplicate", "picker.delete"} <= shown
        assert not shown & {"picker.browse", "picker.adjust"}
        app.screen.options.highlighted = 0
        await pilot.press("ctrl+n")
        assert app.screen.options.highlighted == 1
        await pilot.press("ctrl+p")
        assert app.screen.options.highlighted == 0
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
