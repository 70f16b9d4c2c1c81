"""The forest plot of a run: intervals in place, verdicts in words, times of cached answers, at any width."""

from __future__ import annotations

import math

import msgspec
import pytest
from rich.cells import cell_len

from workbench.analysis.summary import Effect, Estimate, PairSummary, Summary, VariantSummary
from workbench.runs.matrix_rows import Metric
from workbench.tui.widgets.summary_strip import draw_forest


def pair(b: str, difference: float, p: float, verdict: str, needed: int | None = None) -> PairSummary:
    effect = Effect("difference", difference)
    return PairSummary(
        "few-shot", b, "exact_match", 12, difference, -0.6, 0.1, p / 3, p, effect, "McNemar", verdict, needed, family=3
    )


LONG = "a-name-that-is-longer-than-its-column"


def variant(name: str, value: float, low: float, high: float, **figures: object) -> VariantSummary:
    return VariantSummary(name, 12, scores={"exact_match": Estimate(value, low, high, 12)}, **figures)


SUMMARY = Summary(
    metrics=(Metric("exact_match", binary=True, main=True),),
    variants=(
        variant("plain", 0.25, 0.0, 0.5, latency_p50=0.13, tokens_in=61),
        variant("few-shot", 0.5, 0.25, 0.75, cached=12, cached_p50=0.2),
        variant(LONG, 0.0, 0.0, 0.0, failed=2),
    ),
    pairs=(
        pair("plain", -0.25, 0.19, "not distinguishable", 23),
        pair(LONG, -0.5, 0.004, "worse"),
    ),
)


def draw(width: int, summary: Summary = SUMMARY) -> list[str]:
    return draw_forest(summary, "exact_match", width, summary.variants).plain.splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_every_line_fits_and_long_names_end_in_an_ellipsis(width):
    lines = draw(width)
    assert len(lines) == 4
    assert all(cell_len(line) <= width for line in lines)
    assert "…" in lines[3]


@pytest.mark.parametrize("width", [80, 160])
def test_verdicts_are_words_with_a_p_that_is_said_to_be_corrected(width):
    head, plain, best, worse = draw(width)
    assert "Holm" in head and "3 comparisons" in head
    assert "tie, p 0.19 · needs ~23 cases" in plain
    assert best.startswith("★ few-shot") and "best" in best
    assert "2 failed · worse by 0.50" in worse


def test_a_single_comparison_is_not_said_to_be_corrected():
    pairs = tuple(msgspec.structs.replace(one, family=1) for one in SUMMARY.pairs)
    assert "Holm" not in draw(160, msgspec.structs.replace(SUMMARY, pairs=pairs))[0]


def test_the_interval_lies_where_its_numbers_are():
    head, plain, *_ = draw(160)
    left, right = head.index(" 0  ") + 1, head.rindex(" 1 ") + 1
    width = right - left
    assert plain[left] == "├"
    assert (plain.index("●") - left) / width == pytest.approx(0.25, abs=0.03)
    assert (plain.index("┤") - left) / width == pytest.approx(0.5, abs=0.03)


def test_times_of_cached_answers_stay_visible():
    _, plain, best, _ = draw(80)
    assert "130 ms" in plain and "cached" not in plain
    assert "200 ms cached" in best


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_values_that_are_no_place_on_an_axis_are_drawn_without_an_exception(value):
    odd = VariantSummary("odd", 3, scores={"exact_match": Estimate(value, value, math.inf, 3)})
    assert len(draw(80, msgspec.structs.replace(SUMMARY, variants=(*SUMMARY.variants, odd)))) == 5
