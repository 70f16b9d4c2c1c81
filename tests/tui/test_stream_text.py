"""The append-only text: what it shows is what was appended, at any width, inert."""

from __future__ import annotations

from textual.app import App

from workbench.tui.widgets.stream_text import StreamText


class TextHost(App[None]):
    def compose(self):
        yield StreamText()


def shown(text: StreamText) -> list[str]:
    """The rows as they stand on the screen."""
    return [text.render_line(row).text.rstrip() for row in range(text.size.height)]


async def test_pieces_add_up_whatever_the_cuts():
    app = TextHost()
    async with app.run_test(size=(12, 6)) as pilot:
        text = app.query_one(StreamText)
        for piece in "one two three\nfour  five":
            text.append(piece)
        await pilot.pause()
        assert shown(text)[:4] == ["one two", "three", "four  five", ""]
        assert text.text == "one two three\nfour  five"


async def test_a_resize_wraps_anew():
    app = TextHost()
    async with app.run_test(size=(12, 6)) as pilot:
        text = app.query_one(StreamText)
        text.append("one two three four")
        await pilot.resize_terminal(30, 6)
        await pilot.pause()
        assert shown(text)[0] == "one two three four"


async def test_the_view_follows_the_end_until_a_person_scrolls_up():
    app = TextHost()
    async with app.run_test(size=(12, 4)) as pilot:
        text = app.query_one(StreamText)
        text.append("".join(f"{number}\n" for number in range(20)))
        await pilot.pause()
        assert shown(text)[-1] == "19"
        text.scroll_to(y=2, animate=False)
        await pilot.pause()
        text.append("20\n")
        await pilot.pause()
        assert shown(text)[0] == "2"


async def test_escapes_and_markup_are_shown_not_obeyed():
    app = TextHost()
    async with app.run_test(size=(40, 4)) as pilot:
        text = app.query_one(StreamText)
        text.append("\x1b[31mred [bold]b[/bold] \x07")
        await pilot.pause()
        assert shown(text)[0] == "␛[31mred [bold]b[/bold] ␇"


async def test_clearing_empties_it():
    app = TextHost()
    async with app.run_test(size=(12, 4)) as pilot:
        text = app.query_one(StreamText)
        text.append("gone")
        text.clear()
        text.append("here")
        await pilot.pause()
        assert shown(text) == ["here", "", "", ""]
