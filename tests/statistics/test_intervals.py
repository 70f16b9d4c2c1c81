"""Intervals against the reference libraries, and where there is none. How often they hold: tests/simulations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from workbench.statistics.interval import (
    MIN_CASES,
    MIN_CASES_UNBOUNDED,
    MIN_DIFFERING,
    TOO_ALIKE,
    TOO_FEW,
    count_differing,
    difference_interval,
    effective_number,
    mean_interval,
    rate_difference_interval,
    rate_interval,
    wilson,
)


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 20), (3, 20), (20, 20), (157, 200), (19_999, 20_000)])
def test_wilson_intervals_are_those_of_statsmodels(successes, n):
    assert wilson(successes, n) == pytest.approx(proportion_confint(successes, n, method="wilson"), abs=1e-12)


def test_a_rate_of_nothing_may_be_anything():
    assert wilson(0, 0) == (0.0, 1.0)
    assert rate_interval(np.array([]), 0) == (0.0, 1.0)


@given(st.integers(0, 60), st.integers(1, 60))
def test_a_wilson_interval_holds_its_rate_and_stays_between_0_and_1(successes, more):
    n = successes + more
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n <= high <= 1


def test_repeats_that_agree_are_worth_one_and_independent_ones_are_worth_all():
    random = np.random.default_rng(5)
    same = np.repeat(random.integers(2, size=(200, 1)), 5, axis=1).mean(axis=1)
    free = random.integers(2, size=(2_000, 5)).mean(axis=1)
    assert effective_number(same, 1_000) == 200
    assert effective_number(free, 10_000) == pytest.approx(10_000, rel=0.1)


def test_scores_near_the_ceiling_have_an_interval_only_once_enough_lie_below_it():
    values = np.ones(100)
    assert mean_interval(values, bounded=True).unknown == TOO_ALIKE
    values[: MIN_DIFFERING - 1] = np.linspace(0.1, 0.9, MIN_DIFFERING - 1)
    assert mean_interval(values, bounded=True).unknown == TOO_ALIKE
    values[-1] = 0.5
    found = mean_interval(values, bounded=True)
    assert found.unknown == ""
    assert values.mean() - found.interval.low > found.interval.high - values.mean()
    assert found.interval.high <= 1


@pytest.mark.parametrize(("bounded", "least"), [(True, MIN_CASES), (False, MIN_CASES_UNBOUNDED)])
def test_few_cases_have_no_interval_and_say_so(bounded, least):
    values = np.random.default_rng(7).random(least)
    assert mean_interval(values[1:], bounded).unknown == TOO_FEW
    assert np.isnan(mean_interval(values[1:], bounded).interval).all()
    assert mean_interval(values, bounded).unknown == ""
    assert difference_interval(values[1:] - 0.5, bounded).unknown == TOO_FEW
    for nothing in (np.array([]), np.full(50, np.nan)):
        assert mean_interval(nothing, bounded).unknown == TOO_FEW


def test_missing_rows_count_as_missing_and_not_as_zero():
    values = np.random.default_rng(29).normal(5.0, 1.0, 40)
    holed = np.concatenate([values, np.full(40, np.nan)])
    assert mean_interval(holed) == mean_interval(values)


def test_a_stricter_level_is_a_wider_interval():
    values = np.random.default_rng(31).random(50)
    usual, strict = mean_interval(values, True).interval, mean_interval(values, True, 0.99).interval
    assert strict.low < usual.low < usual.high < strict.high


def test_values_that_differ_by_rounding_alone_are_the_same():
    thirds = np.array([(1 + 1 + 0) / 3, 2 / 3, 1 - 1 / 3] * 10)
    assert count_differing(thirds) == 0
    assert count_differing(np.arange(10.0)) == 10
    assert count_differing(np.array([])) == 0


def test_rates_that_few_cases_tell_apart_have_no_interval_of_their_difference():
    assert rate_difference_interval(2, 2, 200).unknown == TOO_ALIKE
    assert rate_difference_interval(2, 2, 12).unknown == TOO_FEW
    low, high = rate_difference_interval(2, 8, 100).interval
    assert low < 0.06 < high  # the shrunken estimate, as Bonett and Price have it, and Wald's half around it
    assert (low + high) / 2 == pytest.approx(6 / 102)


def test_rates_that_differ_in_every_case_stay_below_one():
    low, high = rate_difference_interval(0, 50, 50).interval
    assert 0.8 < low < 1 and high == 1
