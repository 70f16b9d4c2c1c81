"""Sixteen colours keep their hues and hide no text; without colour nothing ends the app, and the meter can be read."""

from __future__ import annotations

import itertools

import pytest
from conftest import settled, until
from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from workbench.tui.color_filters import (
    BLACK,
    BLUE,
    BRIGHT,
    BRIGHT_WHITE,
    GREEN,
    GREY,
    MAGENTA,
    RED,
    WHITE,
    YELLOW,
    GreyFilter,
    SixteenColorFilter,
    reduce_style,
)
from workbench.tui.theme import DARK, LIGHT

HUES = {"primary": BLUE, "secondary": MAGENTA, "accent": YELLOW, "error": RED, "success": GREEN}


def reduce(front: str | None, back: str) -> tuple[int, int]:
    style = reduce_style(Style(color=front, bgcolor=back), RichColor.parse("#000000"))
    assert style.color is not None
    assert style.bgcolor is not None
    return style.color.number, style.bgcolor.number


@pytest.mark.parametrize("part", HUES)
def test_a_colour_of_the_themes_keeps_its_hue(part):
    assert reduce(getattr(DARK, part), DARK.background) == (HUES[part] + BRIGHT, BLACK)
    light = {YELLOW: MAGENTA}.get(HUES[part], HUES[part])  # yellow cannot be read on white
    assert reduce(getattr(LIGHT, part), LIGHT.background) == (light, BRIGHT_WHITE)


def test_text_is_white_muted_text_grey_and_a_border_darker():
    assert reduce(DARK.foreground, DARK.background)[0] == BRIGHT_WHITE
    muted = Color.parse(DARK.background).blend(Color.parse(DARK.foreground), 0.6)
    assert reduce(muted.hex, DARK.background)[0] == WHITE
    assert reduce(DARK.variables["border"], DARK.background)[0] == GREY


def test_a_highlighted_row_is_blue_and_a_field_grey():
    highlight = Color.parse(DARK.background).blend(Color.parse(DARK.primary), 0.25)
    assert reduce(DARK.foreground, highlight.hex) == (BRIGHT_WHITE, BLUE)
    assert reduce(DARK.foreground, DARK.panel) == (BRIGHT_WHITE, GREY)
    assert reduce(LIGHT.foreground, LIGHT.panel) == (BLACK, WHITE)


def test_no_text_is_hidden():
    levels = ("00", "40", "80", "c0", "ff")
    colors = ["#" + "".join(parts) for parts in itertools.product(levels, repeat=3)]
    for front, back in itertools.product([None, *colors], colors):
        shown = reduce(front, back)
        assert shown[0] != shown[1], (front, back)


def test_a_row_without_a_style_passes_both_filters():
    row = [Segment("plain"), Segment("red", Style(color="#ff0000")), Segment("blue", Style(color="blue"))]
    for made in (SixteenColorFilter(), GreyFilter()):
        assert [one.text for one in made.apply(row, Color.parse(DARK.background))] == ["plain", "red", "blue"]


@pytest.mark.parametrize("setting", ["NO_COLOR", "sixteen"])
async def test_the_meter_tells_its_parts_apart_without_colours(make_app, monkeypatch, setting):
    if setting == "NO_COLOR":
        monkeypatch.setenv("NO_COLOR", "1")
    app = make_app()
    app.sixteen_colors = setting == "sixteen"
    async with app.run_test(size=(160, 45)) as pilot:
        screen = await settled(pilot)
        await screen.controller.choose(screen.panes[1])
        await until(pilot, lambda: all(part in str(screen.edit.meter.render()) for part in "█▓▒░"))
        await pilot.press("escape", "e")  # a dialog, over rows that have no style
        await until(pilot, lambda: len(app.screen_stack) == 3)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
