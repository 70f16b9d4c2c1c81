"""How many cases it takes, against statsmodels and by trying it out."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from workbench.statistics.interval import Interval
from workbench.statistics.paired import mcnemar
from workbench.statistics.power import NeededCases, cases_for_means, cases_for_rates, needed_for_means, needed_for_rates


@pytest.mark.parametrize("effect", [0.1, 0.2, -0.35, 0.8])
def test_cases_for_means_are_those_of_statsmodels(effect):
    reference = TTestPower().solve_power(effect_size=abs(effect), alpha=0.05, power=0.8)
    assert cases_for_means(effect) == pytest.approx(reference, abs=1.5)


@pytest.mark.parametrize(("a_only", "b_only"), [(0.05, 0.15), (0.1, 0.2), (0.02, 0.08), (0.0, 0.1)])
def test_with_the_cases_asked_for_four_runs_in_five_tell(a_only, b_only):
    n = cases_for_rates(a_only, b_only)
    drawn = np.random.default_rng(1).multinomial(n, [a_only, b_only, 1 - a_only - b_only], 2_000)
    told = np.mean([mcnemar(int(left), int(right)) <= 0.05 for left, right, _ in drawn])
    assert 0.70 <= told <= 0.90  # the exact test is a little stricter than the formula knows


def test_no_difference_needs_no_number():
    assert cases_for_rates(0.1, 0.1) is None
    assert cases_for_rates(0.0, 0.0) is None
    assert cases_for_means(0.0) is None
    assert cases_for_means(float("nan")) is None


def test_a_stricter_level_asks_for_more():
    assert cases_for_rates(0.1, 0.2, level=0.005) > cases_for_rates(0.1, 0.2)
    assert cases_for_means(0.3, level=0.005) > cases_for_means(0.3)


def test_never_fewer_cases_than_the_exact_test_can_come_out_with():
    n = cases_for_rates(0.0, 1.0)
    assert mcnemar(0, n) <= 0.05 < mcnemar(0, n - 1)


def test_the_range_goes_from_the_largest_to_the_smallest_difference_of_the_interval():
    found = needed_for_rates(0.1, 0.2, Interval(0.02, 0.18))
    assert found.cases == cases_for_rates(0.1, 0.2)
    assert found.low == cases_for_rates(0.06, 0.24)
    assert found.high == cases_for_rates(0.14, 0.16)
    assert needed_for_rates(0.1, 0.2, Interval(-0.01, 0.21)).high is None
    assert needed_for_rates(0.1, 0.1, Interval(-0.1, 0.1)) is None


def test_the_range_of_means_is_in_units_of_their_spread():
    values = np.random.default_rng(2).normal(0.3, 1.0, 50)
    spread = values.std(ddof=1)
    found = needed_for_means(values, Interval(0.1, 0.5))
    assert (found.low, found.high) == (cases_for_means(0.5 / spread), cases_for_means(0.1 / spread))
    assert needed_for_means(np.full(20, 0.5), Interval(0.4, 0.6)) is None


def test_where_the_cases_were_not_enough_more_are_named():
    assert NeededCases(30, 10, 60).beyond(40) == NeededCases(41, 10, 60)
    assert NeededCases(30, 10, 35).beyond(40) == NeededCases(41, 10, 41)
