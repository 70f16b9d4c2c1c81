"""A value with its interval as a mark in a plot, and the limits that show every mark.

An interval need not be symmetric, and may be missing (NaN).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite

from textual_plot import HiResMode, PlotWidget


def draw_estimate(plot: PlotWidget, x: float, value: float, low: float, high: float, marker: str, style: str) -> None:
    """A bar from low to high, and the marker at the value."""
    if isfinite(low) and isfinite(high):
        plot.plot([x, x], [low, high], line_style=style, hires_mode=HiResMode.BRAILLE)
    plot.scatter([x], [value], marker=marker, marker_style=style)


def find_limits(values: Iterable[float]) -> tuple[float, float]:
    """From 0, or below it, to 1, or above it, so that every value that is known lies inside."""
    known = [value for value in values if isfinite(value)]
    return min(0.0, *known, 0.0), max(1.0, *known, 1.0) * 1.05
