"""Line filters that draw rows with fewer colours: the sixteen of a terminal that has no more, or greys alone.

A terminal's nearest colour to a soft blue is a grey. Here what has a hue keeps it: red stays red, green green and blue
blue; what has none becomes black, white or one of the two greys between them. Text differs from what is behind it.
"""

from __future__ import annotations

import colorsys
from functools import lru_cache

from rich.color import Color as RichColor
from rich.color import ColorType
from rich.color_triplet import ColorTriplet
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter, monochrome_style

BLACK, RED, GREEN, YELLOW, BLUE, MAGENTA, CYAN, WHITE, GREY = range(9)
BRIGHT = 8
BRIGHT_WHITE = WHITE + BRIGHT
_HUES = ((20, RED), (75, YELLOW), (160, GREEN), (200, CYAN), (250, BLUE), (330, MAGENTA), (361, RED))
"""up to which angle of the colour circle each reaches"""
_TEXT_CHROMA, _BACK_CHROMA = 0.2, 0.11
"""from which difference of the largest and the least part on a colour has a hue: surfaces are tinted lightly"""
_GREYS = {
    BLACK: ((0.4, GREY), (0.68, WHITE), (2, BRIGHT_WHITE)),
    GREY: ((0.1, BLACK), (2, BRIGHT_WHITE)),
    WHITE: ((0.6, BLACK), (2, GREY)),
    BRIGHT_WHITE: ((0.3, BLACK), (0.75, GREY), (0.9, WHITE), (2, GREY)),
}
"""what a text without a hue becomes, on each background without one, up to which lightness"""
_LIGHT_HUES = {YELLOW: MAGENTA, CYAN: BLUE}
"""hues that cannot be read on a light background, and what stands for them"""
_DARK_BACK = {BLACK, RED, BLUE, MAGENTA, GREY}


class SixteenColorFilter(LineFilter):
    """Replaces the colours of rows by numbers from 0 to 15."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        behind = background.rich_color
        return [
            Segment(text, reduce_style(style, behind) if style is not None else None, control)
            for text, style, control in segments
        ]


class GreyFilter(LineFilter):
    """For NO_COLOR. As Textual's Monochrome, which ends the app at a segment without a style (8.2.8)."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            Segment(text, monochrome_style(style) if style is not None else None, control)
            for text, style, control in segments
        ]


@lru_cache(4096)
def reduce_style(style: Style, behind: RichColor) -> Style:
    """A style in sixteen colours. behind: the background where the style has none."""
    own = style.bgcolor
    back = reduce_background(own if own is not None and not own.is_default else behind)
    if style.color is None or style.color.is_default:
        front = BRIGHT_WHITE if back in _DARK_BACK else BLACK
    else:
        front = reduce_text(style.color, back)
    return style + Style(color=RichColor.from_ansi(front), bgcolor=RichColor.from_ansi(back))


def reduce_background(color: RichColor) -> int:
    """The number of a background; one with a hue is never bright, as some terminals have no such background."""
    if color.triplet is None:
        return _number(color, BLACK)
    hue = find_hue(color.triplet, _BACK_CHROMA)
    if hue is not None:
        return hue
    light = find_lightness(color.triplet)
    return BLACK if light < 0.125 else GREY if light < 0.5 else WHITE if light < 0.935 else BRIGHT_WHITE


def reduce_text(color: RichColor, back: int) -> int:
    """The number of a text's colour on a background given by its number; never one that hides it."""
    if color.triplet is None:
        return _number(color, BRIGHT_WHITE)
    if back not in _GREYS:
        return BRIGHT_WHITE if back in _DARK_BACK else BLACK
    hue = find_hue(color.triplet, _TEXT_CHROMA)
    if hue is not None:
        return hue + BRIGHT if back in _DARK_BACK else _LIGHT_HUES.get(hue, hue)
    light = find_lightness(color.triplet)
    return next(number for end, number in _GREYS[back] if light < end)


def find_hue(triplet: ColorTriplet, least: float) -> int | None:
    """Which of the six hues, by its number from 1 to 6; None for what is nearly grey."""
    parts = [part / 255 for part in triplet]
    if max(parts) - min(parts) < least:
        return None
    angle = colorsys.rgb_to_hsv(*parts)[0] * 360
    return next(number for end, number in _HUES if angle < end)


def find_lightness(triplet: ColorTriplet) -> float:
    """How light a colour is to the eye, 0 to 1."""
    red, green, blue = triplet
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


def _number(color: RichColor, default: int) -> int:
    if color.type in (ColorType.STANDARD, ColorType.EIGHT_BIT) and color.number is not None and color.number < 16:
        return color.number
    return default
