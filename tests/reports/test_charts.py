"""Pictures of scores."""

from __future__ import annotations

import itertools
import math
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workbench.reports.charts import Point, choose_ticks, draw_intervals, draw_scatter

numbers = st.floats(-1e6, 1e6)


def parse(markup):
    return ElementTree.fromstring(str(markup))


def find(picture, tag, kind):
    return [one for one in picture.iter(tag) if kind in (one.get("class") or "").split()]


def test_a_row_a_variant_with_dot_bar_and_value():
    points = [Point("a", 0.2, 0.1, 0.3), Point("b", 0.9, 0.85, 0.95, best=True, value_text="0.90")]
    picture = parse(draw_intervals(points, "exact match", bounded=True))
    assert [float(dot.get("cx")) for dot in find(picture, "circle", "dot")] == sorted(
        float(dot.get("cx")) for dot in find(picture, "circle", "dot")
    )
    bars = find(picture, "line", "bar")
    assert all(
        float(bar.get("x1")) < float(dot.get("cx")) < float(bar.get("x2"))
        for bar, dot in zip(bars, find(picture, "circle", "dot"), strict=True)
    )
    assert [text.text for text in find(picture, "text", "value")] == ["0.2", "0.90"]
    assert "b 0.9 (0.85 to 0.95)" in picture.get("aria-label")


def test_names_are_text_and_never_markup():
    picture = parse(draw_intervals([Point('<b>&"x', 0.5, 0.4, 0.6)], '<i>"m', bounded=True))
    assert find(picture, "text", "name")[0].text == '<b>&"x'
    assert '<i>"m' in picture.get("aria-label")


def test_a_value_without_interval_has_no_bar():
    assert not find(parse(draw_intervals([Point("a", 0.2, math.nan, math.nan)], "m", bounded=True)), "line", "bar")


def spread(label):
    """From where to where a label goes, at the narrowest a letter is."""
    x, length = float(label.get("x")), 6.0 * len(label.text)
    return (x - length, x) if label.get("text-anchor") == "end" else (x, x + length)


CLOSE = (
    [("one", 0.8, 1.0), ("two", 0.8, 1.01), ("three", 0.8, 1.02)],
    [("described", 0.55, 0.271), ("few-shot", 0.58, 0.286), ("few-shot, warm", 0.55, 0.223)],
    [("the first", 1.0, 5.0), ("the second", 1.0, 5.0), ("the third", 0.0, 5.0), ("the fourth", 0.0, 5.0)],
)


@pytest.mark.parametrize("rows", CLOSE)
def test_a_label_lies_on_no_other_label_and_on_no_dot(rows):
    points = [Point(name, value, value - 0.1, value + 0.1, x) for name, value, x in rows]
    picture = parse(draw_scatter(points, "m", "time", str, bounded=True))
    labels = [(*spread(label), float(label.get("y")) - 4) for label in find(picture, "text", "name")]
    for (start, end, y), (other_start, other_end, other_y) in itertools.combinations(labels, 2):
        assert abs(y - other_y) >= 14 or end <= other_start or other_end <= start
    dots = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in find(picture, "circle", "dot")]
    assert not [1 for x, y in dots for start, end, at in labels if abs(at - y) < 10 and start < x < end]


def test_without_anything_on_the_other_axis_there_is_no_picture():
    assert draw_scatter([Point("a", 0.5, 0.4, 0.6)], "m", "seconds", str, bounded=True) == ""


@example([(0.0, 0.0, 5e-324), (0.5, 0.0, 0.0)], False)
@example([(1.0, 0.0, 1e-310), (-1.0, 0.0, 0.0)], False)
@given(st.lists(st.tuples(numbers, numbers, numbers), max_size=8), st.booleans())
def test_any_numbers_make_a_well_formed_picture(rows, bounded):
    points = [Point(f"v{at}", value, value - 1, value + 1, abs(x)) for at, (value, _, x) in enumerate(rows)]
    parse(draw_intervals(points, "m", bounded))
    picture = draw_scatter(points, "m", "tokens", str, bounded)
    assert "nan" not in picture and "inf" not in picture


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0, 238, [0, 50, 100, 150, 200]), (3, 3, [3]), (-1, 1, [-1, -0.5, 0, 0.5, 1])],
)
def test_ticks_are_round_numbers(low, high, ticks):
    assert choose_ticks(low, high) == ticks
