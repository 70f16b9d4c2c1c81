"""The editors: what a terminal would act on is drawn by stand-ins, and the text stays what it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.events import Paste

from workbench.sanitize import sanitize_line
from workbench.tui.widgets.editing import ExactDocument, Input, RevealingWrap, TextArea, detect_newline

HOSTILE = "copy \x1b]52;c;UFdORUQ=\x1b\\ turn \u202eback \x9b31m end"
SHOWN = "copy ␛]52;c;UFdORUQ=␛\\ turn ⟨U+202E⟩back ⟨U+009B⟩31m end"
SEPARATORS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\x1b\u202e\t ab"


class Editors(App[None]):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.body = text

    def compose(self) -> ComposeResult:
        self.area = TextArea(self.body, soft_wrap=True, show_line_numbers=False)
        self.field = Input(self.body)
        yield self.area
        yield self.field


def drawn(widget) -> list[str]:
    return ["".join(segment.text for segment in widget.render_line(y)) for y in range(widget.size.height)]


async def test_stand_ins_are_drawn_and_the_text_is_kept():
    app = Editors(HOSTILE)
    async with app.run_test(size=(100, 12)) as pilot:
        assert SHOWN in drawn(app.area)[0]
        assert SHOWN in drawn(app.field)[0]
        assert app.area.text == HOSTILE == app.field.value
        app.area.focus()
        app.area.move_cursor(app.area.document.end)
        await pilot.press("x", "backspace", "y")
        assert app.area.text == f"{HOSTILE}y"
        app.field.focus()
        await pilot.press("end", "y")
        assert app.field.value == f"{HOSTILE}y"


@pytest.mark.parametrize("width", [14, 20, 33, 60])
async def test_nothing_is_cut_where_rows_are_wrapped(width):
    text = f"{HOSTILE} {HOSTILE}\n\n{'x' * 50}\u202e{'y' * 50}\u202e\u202e\u202e\u202e"
    app = Editors(text)
    async with app.run_test(size=(width, 160)):
        rows = drawn(app.area)
        shown = "".join("".join(rows).split())
        wanted = text.replace("\x1b", "␛").replace("\u202e", "⟨U+202E⟩").replace("\x9b", "⟨U+009B⟩")
        assert shown == "".join(wanted.split())


async def test_the_cursor_of_a_field_stands_behind_its_stand_ins():
    app = Editors("a\u202eb")
    async with app.run_test(size=(60, 12)) as pilot:
        app.field.focus()
        await pilot.press("end")
        assert app.field._cursor_offset == len("a⟨U+202E⟩b") + 1
        marked = [segment.text for segment in app.field.render_line(0) if segment.style and segment.style.reverse]
        await pilot.press("home", "right", "right", "z")
        assert app.field.value == "a\u202ezb"
        assert "⟨" not in "".join(marked)


@given(st.text(SEPARATORS))
def test_a_document_is_the_text_it_was_made_of(text):
    assert ExactDocument(text).text == text


@given(st.text(SEPARATORS), st.data())
def test_an_edit_that_is_taken_back_leaves_no_trace(text, data):
    document = ExactDocument(text)
    rows = st.integers(0, document.line_count - 1)
    spots = rows.flatmap(lambda row: st.tuples(st.just(row), st.integers(0, len(document.lines[row]))))
    start, end = sorted((data.draw(spots), data.draw(spots)))
    inserted = data.draw(st.sampled_from(["", "z", document.newline, f"z{document.newline}z"]))
    done = document.replace_range(start, end, inserted)
    undone = document.replace_range(start, done.end_location, done.replaced_text)
    assert document.text == text
    assert undone.replaced_text == inserted


@pytest.mark.parametrize(
    ("text", "newline"),
    [("", "\n"), ("a\nb", "\n"), ("a\r\nb\r\n", "\r\n"), ("a\rb", "\r"), ("a\r\nb\nc", "\n"), ("a\r\nb\rc", "\n")],
)
def test_mixed_line_endings_stay_mixed(text, newline):
    assert detect_newline(text) == newline
    assert ExactDocument(text).text == text


@given(st.text("ab \u202e\x1b\t漢", max_size=60), st.integers(9, 30))
def test_every_row_fits(line, width):
    wrapped = RevealingWrap(ExactDocument(line), width)
    sections = [0, *wrapped.get_offsets(0), len(line)]
    assert sections == sorted(set(sections)) or not line
    assert wrapped.height == len(sections) - 1


async def test_what_is_pasted_takes_the_endings_of_the_text():
    app = Editors("a\r\nb")
    async with app.run_test(size=(60, 12)):
        app.area.move_cursor(app.area.document.end)
        app.area._replace_via_keyboard("1\n2\r3\r\n4", *app.area.selection)
        assert app.area.text == "a\r\nb1\r\n2\r\n3\r\n4"


LONG = "\n".join(f"line {number} of many words" for number in range(60))


@pytest.mark.parametrize("pasted", [LONG, f"{LONG}\n", LONG.replace("\n", "\r\n"), f"{LONG}\u202e{LONG}"])
async def test_a_long_paste_is_taken_back_and_done_again(pasted):
    """The scroll bar that comes with the paste goes with the undo, while the cursor still stands on line 60."""
    app = Editors("one\ntwo")
    async with app.run_test(size=(40, 10)) as pilot:
        app.area.focus()
        for _ in range(2):
            app.post_message(Paste(pasted))
            await pilot.pause()
            assert app.area.text.startswith("line 0 ")
            await pilot.press("ctrl+z")
            assert app.area.text == "one\ntwo"
            await pilot.press("ctrl+y")
            assert app.area.text == pasted.replace("\r\n", "\n") + "one\ntwo"
            await pilot.press("ctrl+z")
            assert app.area.text == "one\ntwo"


@pytest.mark.parametrize("keys", [("delete",), ("x",), ("ctrl+x",), ("backspace", "ctrl+z", "ctrl+y", "ctrl+z")])
async def test_everything_is_deleted_with_the_cursor_at_the_end(keys):
    app = Editors(LONG)
    async with app.run_test(size=(40, 10)) as pilot:
        app.area.focus()
        app.area.select_all()
        await pilot.press(*keys)
        assert app.area.text == {"x": "x", "backspace": LONG}.get(keys[0], "")


async def test_a_shorter_text_is_loaded_with_the_cursor_at_the_end():
    app = Editors(LONG)
    async with app.run_test(size=(40, 10)):
        app.area.move_cursor(app.area.document.end)
        app.area.load_text("short")
        assert app.area.text == "short"


def test_a_row_of_the_screen_is_safe():
    assert sanitize_line("a\x1b\n\t\u202e") == "a␛␤ \ufffd"


async def test_what_is_typed_into_a_line_is_undone_and_redone():
    app = Editors("first")
    async with app.run_test(size=(60, 12)) as pilot:
        app.field.focus()
        await pilot.press("end", "x", "ctrl+u", "y")
        assert app.field.value == "y"
        await pilot.press("ctrl+z", "ctrl+z")
        assert app.field.value == "firstx"
        await pilot.press("ctrl+z", "ctrl+z", "ctrl+z")
        assert app.field.value == "first"
        await pilot.press("ctrl+y", "ctrl+y")
        assert app.field.value == ""
        await pilot.press("z", "ctrl+y")
        assert app.field.value == "z"


async def test_lines_that_a_field_cannot_hold_are_counted():
    app = Editors("")
    async with app.run_test(size=(60, 12)) as pilot:
        app.field.focus()
        app.post_message(Paste("\none\ntwo\r\nthree\n"))
        await pilot.pause()
        assert app.field.value == "one"
        (notice,) = app._notifications
        assert "2 more lines are left out" in notice.message
        app.clear_notifications()
        app.post_message(Paste("four\n"))
        await pilot.pause()
        assert app.field.value == "onefour"
        assert not list(app._notifications)
