"""What a plot of values with intervals shows: each value, intervals as long as they are, none where there is none."""

from __future__ import annotations

import math

import pytest
from textual.app import App
from textual_plot import PlotWidget

from workbench.tui.widgets.estimate_plot import draw_estimate, find_limits


@pytest.mark.parametrize(
    ("values", "limits"),
    [
        ([33.3, math.nan, math.nan], (0.0, 33.3 * 1.05)),
        ([0.4, 0.2, 0.9], (0.0, 1.05)),
        ([-3.2, -4.0, -1.0], (-4.0, 1.05)),
        ([], (0.0, 1.05)),
        ([math.nan], (0.0, 1.05)),
        ([math.inf, 2.0], (0.0, 2.1)),
    ],
)
def test_every_known_value_lies_within_the_limits(values, limits):
    assert find_limits(values) == pytest.approx(limits)


async def test_a_value_without_an_interval_is_drawn_and_one_with_a_long_side_has_it_on_that_side():
    class Drawing(App[None]):
        def compose(self):
            yield PlotWidget(allow_pan_and_zoom=False)

    async with Drawing().run_test(size=(60, 24)) as pilot:
        plot = pilot.app.query_one(PlotWidget)
        draw_estimate(plot, 1.0, 33.3, math.nan, math.nan, "A", "white")
        draw_estimate(plot, 2.0, 30.0, 5.0, 32.0, "B", "white")
        plot.set_xlimits(0.5, 2.5)
        plot.set_ylimits(*find_limits([33.3, 30.0, 5.0, 32.0]))
        await pilot.pause()
        rows = [strip.text for strip in (plot.query_one("#plot").render_line(y) for y in range(20))]
        (first,) = [row for row in rows if "A" in row]
        place = next(row.index("B") for row in rows if "B" in row)
        at = next(number for number, row in enumerate(rows) if "B" in row)
        column = [row[place] for row in rows if len(row) > place]
        bar = [number for number, sign in enumerate(column) if sign not in " B"]
        assert first.index("A") < place
        assert sum(number > at for number in bar) >= 8 and sum(number < at for number in bar) <= 2
