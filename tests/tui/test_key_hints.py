"""KeyHints: the keys of a dialog break between two keys, never between a key and its word."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from workbench.tui.widgets.packed_line import KeyHints

HINTS = ("left/right variant", "n/b case", "r re-run", "y copy", "esc close")


class Hinted(App[None]):
    def compose(self) -> ComposeResult:
        yield KeyHints(*HINTS)


@pytest.mark.parametrize("width", [80, 40, 20])
async def test_no_key_is_parted_from_its_word(width):
    app = Hinted()
    async with app.run_test(size=(width, 10)) as pilot:
        await pilot.pause()
        hints = app.query_one(KeyHints)
        rows = [strip.text.strip() for strip in map(hints.render_line, range(hints.size.height))]
    assert [hint for row in rows for hint in row.split("   ")] == list(HINTS)
    assert all(len(row) <= width for row in rows)
