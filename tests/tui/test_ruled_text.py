"""Role headers in an editor: the cursor steps over them, no key takes a part of one, and the text stays what it was."""

from __future__ import annotations

import random

import pytest
from textual.app import App, ComposeResult
from textual.events import Paste
from textual.widgets.text_area import Selection

from workbench.tui.prompt_text import is_role_header, name_header, separate_headers, with_role
from workbench.tui.widgets.ruled_text import RuledTextArea

BODY = "system:\nRoute the message.\n\nuser:\n{{ message }}\nQueue:\n"


class RuledApp(App[None]):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.body = text
        self.refused = 0

    def compose(self) -> ComposeResult:
        self.area = RuledTextArea(self.body, soft_wrap=True, show_line_numbers=False, tab_behavior="focus")
        self.area.on_rule_protected = self.count
        yield self.area

    def count(self) -> None:
        self.refused += 1


def drawn(area: RuledTextArea) -> list[str]:
    return ["".join(segment.text for segment in area.render_line(y)).rstrip() for y in range(area.size.height)]


def headers(text: str) -> list[str]:
    return [line for line in text.split("\n") if is_role_header(line)]


async def test_headers_are_drawn_as_rules_and_the_cursor_starts_below_the_first():
    app = RuledApp(BODY)
    async with app.run_test(size=(40, 12)):
        assert app.area.cursor_location == (1, 0)
        rows = drawn(app.area)
        inner = [row.strip("│▊▎ ") for row in rows]
        assert any(row.startswith("── system ───") for row in inner)
        assert any(row.startswith("── user ───") for row in inner)
        assert not any("system:" in row for row in rows)
        assert app.area.text == BODY


async def test_the_rule_above_the_cursor_is_in_view():
    app = RuledApp(BODY * 3)
    async with app.run_test(size=(40, 6)) as pilot:
        app.area.focus()
        assert any("── system ──" in row for row in drawn(app.area))
        await pilot.press("ctrl+end", "up", "up")
        assert app.area.cursor_location == (16, 0)
        await pilot.press("up")
        await pilot.press("ctrl+home")
        await pilot.pause()
        assert any("── system ──" in row for row in drawn(app.area))


@pytest.mark.parametrize(
    ("start", "keys", "end"),
    [
        ((1, 3), ["up"], (1, 0)),
        ((1, 0), ["left"], (1, 0)),
        ((2, 0), ["down"], (4, 0)),
        ((1, 4), ["down", "down", "down"], (5, 4)),
        ((4, 5), ["up", "up"], (1, 5)),
        ((2, 0), ["right"], (4, 0)),
        ((4, 0), ["left"], (2, 0)),
        ((4, 0), ["ctrl+left"], (2, 0)),
        ((4, 3), ["ctrl+home"], (1, 0)),
        ((1, 0), ["ctrl+end"], (6, 0)),
        ((4, 3), ["pageup"], (1, 0)),
    ],
)
async def test_the_cursor_steps_over_a_rule(start, keys, end):
    app = RuledApp(BODY)
    async with app.run_test(size=(40, 20)) as pilot:
        app.area.focus()
        app.area.move_cursor(start)
        app.area.record_cursor_width()
        await pilot.press(*keys)
        assert app.area.cursor_location == end
        assert app.area.text == BODY


@pytest.mark.parametrize(
    ("start", "key"),
    [
        ((1, 0), "backspace"),
        ((4, 0), "backspace"),
        ((4, 0), "ctrl+w"),
        ((4, 0), "ctrl+u"),
        ((2, 0), "delete"),
        ((2, 0), "ctrl+d"),
        ((2, 0), "alt+d"),
        ((2, 0), "ctrl+k"),
    ],
)
async def test_no_key_deletes_a_rule_or_the_line_between_two(start, key):
    text = "system:\nRoute.\n\nuser:\n{{ x }}"
    if key == "ctrl+k":
        text, start = "system:\n\nuser:\n{{ x }}", (1, 0)
    app = RuledApp(text)
    async with app.run_test(size=(40, 12)) as pilot:
        app.area.focus()
        app.area.move_cursor(start)
        await pilot.press(key)
        assert app.area.text == text
        assert app.area.cursor_location == start
        assert app.refused == 1


async def test_a_selection_takes_rules_as_a_whole_and_one_undo_brings_them_back():
    app = RuledApp(BODY)
    async with app.run_test(size=(40, 12)) as pilot:
        area = app.area
        area.focus()
        area.selection = Selection((1, 5), (4, 3))
        await pilot.press("backspace")
        assert area.text == "system:\nRoutemessage }}\nQueue:\n"
        await pilot.press("ctrl+z")
        assert area.text == BODY
        area.move_cursor((4, 0))
        await pilot.press("shift+left")
        assert area.selected_text == "user:\n"
        await pilot.press("shift+left")
        assert area.selected_text == "\nuser:\n"
        area.select_all()
        assert area.selected_text == BODY
        await pilot.press("x")
        assert area.text == "x"


async def test_a_header_that_is_typed_stays_a_line_until_the_cursor_leaves_it():
    app = RuledApp("system:\nOne.\n")
    async with app.run_test(size=(40, 12)) as pilot:
        area = app.area
        area.focus()
        area.move_cursor(area.document.end)
        await pilot.press(*"user:")
        assert area.cursor_location == (2, 5)
        assert not area.is_rule(2)
        await pilot.press(*" hello", "home")
        assert area.text == "system:\nOne.\nuser: hello"
        await pilot.press("end", *["backspace"] * 6)
        assert area.text == "system:\nOne.\nuser:"
        await pilot.press("enter", "x")
        assert area.text == "system:\nOne.\nuser:\nx"
        assert area.is_rule(2)
        await pilot.press("backspace", "backspace")
        assert area.text == "system:\nOne.\nuser:\n"


async def test_a_text_with_role_lines_is_pasted_as_sections():
    app = RuledApp("Be brief.")
    async with app.run_test(size=(40, 12)) as pilot:
        area = app.area
        area.focus()
        area.move_cursor((0, 3))
        app.post_message(Paste("user:\r\nHow?\r\nassistant:\r\nSo."))
        await pilot.pause()
        assert area.text == "Be \nuser:\nHow?\nassistant:\nSo.brief."
        assert area.is_rule(1) and area.is_rule(3)
        area.select_all()
        app.post_message(Paste(BODY))
        await pilot.pause()
        assert area.text == BODY


@pytest.mark.parametrize(
    "text", ["system:\nuser:\nx", "system:", "system:\nx\nassistant:", "system:\nuser:\nassistant:"]
)
async def test_a_rule_without_a_line_of_its_own_takes_what_is_typed(text):
    app = RuledApp(text)
    async with app.run_test(size=(40, 12)) as pilot:
        area = app.area
        area.focus()
        bare = [row for row, _ in enumerate(area.document.lines) if area.is_rule(row) and area._is_bare(row)]
        area.move_cursor((0, 0))
        for _ in area.document.lines:
            await pilot.press("up")
        places = []
        for _ in range(3):
            places.append(area.cursor_location)
            await pilot.press("down")
        assert {(row, len(area.document[row])) for row in bare} <= set(places)
        area.move_cursor((bare[0], len(area.document[bare[0]])))
        before = area.document.lines[: bare[0] + 1]
        await pilot.press("backspace", "delete", "ctrl+k", "y")
        assert area.document.lines[: bare[0] + 2] == [*before, "y"]
        assert headers(area.text) == headers(text)


async def test_roles_are_changed_added_and_removed_and_undone():
    app = RuledApp("system:\nOne.\n\n## User[name=x] :\nTwo.")
    async with app.run_test(size=(40, 12)) as pilot:
        area = app.area
        area.focus()
        before = area.text
        area.move_cursor((4, 2))
        area.change_role("assistant")
        assert area.text == "system:\nOne.\n\n## assistant[name=x] :\nTwo."
        assert area.cursor_location == (4, 2)
        area.change_role("user")
        area.add_role("assistant")
        assert area.text == "system:\nOne.\n\n## user[name=x] :\nTwo.\n\nassistant:\n"
        await pilot.press("x")
        assert area.text.endswith("assistant:\nx")
        area.move_cursor((1, 0))
        area.add_role("user")
        await pilot.press("y")
        assert area.text.startswith("system:\nOne.\n\nuser:\ny\n\n## user[name=x] :\nTwo.")
        area.remove_role()
        assert area.text.startswith("system:\nOne.\n\ny\n\n## user")
        while area.text != before:
            undone = area.text
            area.undo()
            assert area.text != undone


async def test_where_headers_do_not_count_they_are_text():
    app = RuledApp(BODY)
    async with app.run_test(size=(40, 12)) as pilot:
        area = app.area
        area.focus()
        area.show_rules(False)
        await pilot.press("ctrl+home", "delete")
        assert area.text == BODY[1:]
        assert any("ystem:" in row for row in drawn(area))


KEYS = (
    *("left", "right", "up", "down", "home", "end", "pageup", "pagedown", "ctrl+left", "ctrl+right"),
    *("ctrl+home", "ctrl+end", "backspace", "delete", "ctrl+w", "ctrl+u", "ctrl+k", "alt+d", "ctrl+shift+k"),
    *("a", "space", "enter", "ctrl+z", "ctrl+y"),
)
"""nothing that selects or types a header"""


@pytest.mark.parametrize("seed", range(6))
async def test_no_keys_take_a_part_of_a_header(seed):
    """Undo and redo move between texts that were there, so the headers stay what they are all the time."""
    chance = random.Random(seed)
    parts = ["system:", "user:", " Assistant :", "## user[a=b]:", "", "one two", "  x", "{{ y }}"]
    text = chance.choice(["\n", "\r\n"]).join(chance.choice(parts) for _ in range(12))
    app = RuledApp(text)
    async with app.run_test(size=(30, 8)) as pilot:
        area = app.area
        area.focus()
        wanted = [name_header(line) for line in area.document.lines if is_role_header(line)]
        for _ in range(60):
            key = chance.choice(KEYS)
            await pilot.press(key)
            assert [name_header(line) for line in area.document.lines if is_role_header(line)] == wanted, key
            row, column = area.cursor_location
            assert not area.is_rule(row) or (area._is_bare(row) and column == len(area.document[row]))


@pytest.mark.parametrize(
    ("inserted", "before", "after", "result"),
    [
        ("user:", "a ", "", "user:"),
        ("user:\nx", "a ", "", "\nuser:\nx"),
        ("user:\nx", "", "b", "user:\nx"),
        ("x\nuser:", "a", "b", "x\nuser:\n"),
        ("x\r\nuser:", "a", "", "x\r\nuser:"),
    ],
)
def test_headers_of_a_pasted_text_get_lines_of_their_own(inserted, before, after, result):
    assert separate_headers(inserted, before, after) == result


def test_a_header_is_named_and_keeps_what_is_not_its_role():
    assert name_header(" ## User[a=b] : \r") == "User[a=b]"
    assert with_role(" ## User[a=b] : \r", "assistant") == " ## assistant[a=b] : \r"
    assert with_role("no header", "user") == "no header"
