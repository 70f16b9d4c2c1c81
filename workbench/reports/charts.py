"""Charts in SVG, drawn with the page's own colours, readable without any script.

Every text is escaped; a chart is also described in words for those who cannot see it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

_ROW = 34
_TEXT = 8.2  # width of a character at the chart's size, bold ones too
_MAX_NAME_CHARS = 34  # characters of a name
_LINE = 15.0  # least distance between two labels
_DOT = 8.0  # half of what a dot takes


class Point(NamedTuple):
    """A variant: its score with interval (NaN: none), its x value where there is one, and its score as
    it is written."""

    name: str
    value: float
    low: float
    high: float
    x: float = math.nan
    best: bool = False
    value_text: str = ""


_SMALLEST = 1e-300
"""A span below this cannot be divided into steps: its fifth would be no normal float any more."""


class Axis(NamedTuple):
    """A scale from data to the picture."""

    low: float
    high: float
    start: float
    end: float

    def position(self, value: float) -> float:
        span = self.high - self.low
        if not _SMALLEST < span < math.inf:
            return (self.start + self.end) / 2
        return self.start + (value - self.low) / span * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        return choose_ticks(self.low, self.high)


class Box(NamedTuple):
    """What is taken of the picture: a line of text, or a dot."""

    start: float
    end: float
    y: float

    def meets(self, other: Box) -> bool:
        return abs(self.y - other.y) < _LINE and self.start < other.end and other.start < self.end


def choose_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between two values."""
    span = high - low
    if not _SMALLEST < span < math.inf:
        return [low]
    rough = span / about
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(scale * size for size in (1, 2, 2.5, 5, 10) if rough <= scale * size * 1.0001)
    first = math.ceil(low / step - 1e-9)
    return [round((first + at) * step, 12) for at in range(int((high - first * step) / step + 1e-9) + 1)]


def draw_intervals(points: Sequence[Point], metric: str, bounded: bool) -> Markup:
    """A line a variant: the dot is the value, the bar its 95% interval."""
    gutter = min(max((len(point.name) for point in points), default=0), _MAX_NAME_CHARS) * _TEXT + 16
    width, height = 720.0, len(points) * _ROW + 44.0
    axis = Axis(*_span(points, bounded), gutter, width - 64)
    parts = [_grid_down(axis, height - 34)]
    for at, point in enumerate(points):
        parts.append(_draw_row(point, axis, at * _ROW + 20.0, gutter))
    message = f"{metric} of each variant with its 95% interval: " + "; ".join(map(_describe, points))
    return _frame(parts, width, height, message)


def draw_scatter(
    points: Sequence[Point], metric: str, label: str, show: Callable[[float], str], bounded: bool
) -> Markup:
    """Score upwards, what an answer takes to the right; nothing when no variant says what it takes."""
    placed = [point for point in points if math.isfinite(point.x)]
    if not placed:
        return Markup("")
    width, height = 460.0, 300.0
    across = Axis(0.0, max(point.x for point in placed) * 1.12 or 1.0, 46.0, width - 24)
    up = Axis(*_span(placed, bounded), height - 44, 16.0)
    parts = [_grid_across(up, 46.0, width - 24), _ticks_below(across, height - 44, show)]
    parts.append(
        Markup('<text class="label" x="{}" y="{}" text-anchor="middle">{}</text>').format(
            _n((46 + width - 24) / 2), _n(height - 8), label
        )
    )
    parts += [_draw_whisker(point, across, up) for point in placed]
    parts += _draw_labels(placed, across, up)
    parts += [_draw_dot(point, across.position(point.x), up.position(point.value)) for point in placed]
    message = f"{metric} against {label}: " + "; ".join(
        f"{point.name}: {point.value:.3g} at {show(point.x)}" for point in placed
    )
    return _frame(parts, width, height, message)


def _span(points: Sequence[Point], bounded: bool) -> tuple[float, float]:
    if bounded:
        return 0.0, 1.0
    ends = [value for point in points for value in (point.value, point.low, point.high) if math.isfinite(value)]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    margin = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    return (0.0 if 0 <= low < (high - low) else low - margin), high + margin


def _draw_row(point: Point, axis: Axis, y: float, gutter: float) -> Markup:
    x = axis.position(point.value)
    bar = Markup("")
    if math.isfinite(point.low):
        bar = Markup('<line class="bar{}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            " best" if point.best else "", _n(axis.position(point.low)), _n(axis.position(point.high)), _n(y), _n(y)
        )
    name = Markup('<text class="name{}" x="{}" y="{}" text-anchor="end">{}<title>{}</title></text>').format(
        " best" if point.best else "", _n(gutter - 12), _n(y + 4), _shorten(point.name), point.name
    )
    right = axis.position(point.high) if math.isfinite(point.high) else x
    value = Markup('<text class="value" x="{}" y="{}">{}</text>').format(
        _n(max(right, x) + 9), _n(y + 4), point.value_text or _show(point.value)
    )
    return name + bar + _draw_dot(point, x, y) + value


def _draw_dot(point: Point, x: float, y: float) -> Markup:
    return Markup('<circle class="dot{}" cx="{}" cy="{}" r="5"><title>{}</title></circle>').format(
        " best" if point.best else "", _n(x), _n(y), _describe(point)
    )


def _draw_whisker(point: Point, across: Axis, up: Axis) -> Markup:
    if not math.isfinite(point.low):
        return Markup("")
    x = _n(across.position(point.x))
    return Markup('<line class="bar thin" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
        x, x, _n(up.position(point.low)), _n(up.position(point.high))
    )


def _draw_labels(points: Sequence[Point], across: Axis, up: Axis) -> Iterator[Markup]:
    """Names beside their dots, moved where they would lie on each other or on another dot."""
    dots = {point: (across.position(point.x), up.position(point.value)) for point in points}
    taken = [Box(x - _DOT, x + _DOT, y) for x, y in dots.values()]
    for point in sorted(points, key=lambda one: up.position(one.value)):
        box = _find_room(*dots[point], min(len(point.name), _MAX_NAME_CHARS) * _TEXT, across, up, taken)
        taken.append(box)
        left = box.start < dots[point][0]
        yield Markup('<text class="name{}" x="{}" y="{}" text-anchor="{}">{}</text>').format(
            " best" if point.best else "",
            _n(box.end if left else box.start),
            _n(box.y + 4),
            "end" if left else "start",
            _shorten(point.name),
        )


def _find_room(x: float, y: float, length: float, across: Axis, up: Axis, taken: Sequence[Box]) -> Box:
    """The free position nearest to a dot, on the side with more of the picture first; beside it where none is free."""
    sides = [x + 10, x - 10 - length] if x <= (across.start + across.end) / 2 else [x - 10 - length, x + 10]
    starts = [start for start in sides if across.start <= start and start + length <= across.end] or sides[:1]
    for offset in range(int(up.start - up.end)):
        for height in (y + offset, y - offset):
            for start in starts:
                box = Box(start, start + length, height)
                if up.end <= height <= up.start and not any(box.meets(other) for other in taken):
                    return box
    return Box(starts[0], starts[0] + length, y)


def _grid_down(axis: Axis, bottom: float) -> Markup:
    positions = [(axis.position(tick), tick) for tick in axis.ticks]
    return _join(
        _draw_line(x, x, 4, bottom) + _draw_tick(x, bottom + 18, "middle", _show(tick)) for x, tick in positions
    )


def _grid_across(axis: Axis, left: float, right: float) -> Markup:
    positions = [(axis.position(tick), tick) for tick in axis.ticks]
    return _join(
        _draw_line(left, right, y, y) + _draw_tick(left - 8, y + 4, "end", _show(tick)) for y, tick in positions
    )


def _draw_line(x1: float, x2: float, y1: float, y2: float) -> Markup:
    return Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(*map(_n, (x1, x2, y1, y2)))


def _draw_tick(x: float, y: float, anchor: str, text: str) -> Markup:
    return Markup('<text class="tick" x="{}" y="{}" text-anchor="{}">{}</text>').format(_n(x), _n(y), anchor, text)


def _ticks_below(axis: Axis, y: float, show: Callable[[float], str]) -> Markup:
    return _join(_draw_tick(axis.position(tick), y + 18, "middle", show(tick)) for tick in axis.ticks)


def _frame(parts: Sequence[Markup], width: float, height: float, message: str) -> Markup:
    head = Markup('<svg viewBox="0 0 {} {}" style="max-width:{}px" role="img" aria-label="{}">').format(
        _n(width), _n(height), _n(width), message
    )
    return head + _join(parts) + Markup("</svg>")


def _join(parts: Sequence[Markup] | Iterator[Markup]) -> Markup:
    return Markup("").join(parts)


def _describe(point: Point) -> str:
    interval = f" ({_show(point.low)} to {_show(point.high)})" if math.isfinite(point.low) else ""
    return f"{point.name} {_show(point.value)}{interval}"


def _shorten(name: str) -> Markup:
    return escape(name if len(name) <= _MAX_NAME_CHARS else name[: _MAX_NAME_CHARS - 1] + "…")


def _show(value: float) -> str:
    return f"{value:.4g}" if abs(value) >= 100 else f"{value:.3g}"


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
