"""The t test corrected for skewness, and the worst-case test, against what each must agree with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, ttest_1samp

from workbench.statistics.skewness import skew_test, worst_case_p

numbers = st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=40)


def spread(values):
    return np.ptp(values) > 1e-6 * (1 + np.abs(values).max())


def test_without_skewness_it_is_students_test():
    values = np.random.default_rng(1).normal(0.3, 1.0, 40)
    values = np.concatenate([values, 0.6 - values])  # the same on both sides
    reference = ttest_1samp(values, 0.0)
    found = skew_test(values, 0.95, bounded=False)
    assert found.p == pytest.approx(reference.pvalue, rel=1e-6)
    assert (found.low, found.high) == pytest.approx(tuple(reference.confidence_interval(0.95)), rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(numbers, st.booleans(), st.booleans())
def test_the_interval_holds_the_mean_and_the_test_is_the_interval_turned_round(values, bounded, hull):
    own = np.array(values)
    if not spread(own):
        return
    found = skew_test(own, 0.95, bounded, hull)
    slack = 1e-9 * (1 + np.abs(own).max())
    assert found.low - slack <= own.mean() <= found.high + slack
    if min(abs(found.low), abs(found.high)) > slack:
        assert (found.p <= 0.05) == (found.low > 0 or found.high < 0)


def test_a_long_tail_reaches_further_on_its_own_side():
    values = np.random.default_rng(2).lognormal(0, 1, 60)
    found = skew_test(values, 0.95, bounded=False, hull=False)
    assert found.high - values.mean() > 1.3 * (values.mean() - found.low)
    turned = skew_test(-values, 0.95, bounded=False, hull=False)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


def test_the_unit_of_the_values_is_of_no_account():
    values = np.random.default_rng(3).gamma(2, 1, 30)
    small, large = (skew_test(values * unit, 0.95, bounded=False) for unit in (1e-150, 1e150))
    assert small.p == pytest.approx(large.p)
    assert large.high / 1e150 == pytest.approx(small.high / 1e-150)


@pytest.mark.parametrize(("right", "n"), [(6, 6), (10, 10), (17, 20), (19, 20)])
def test_on_right_and_wrong_the_worst_case_is_the_exact_binomial_test(right, n):
    values = np.array([1.0] * right + [-1.0] * (n - right))
    # a mean above 0 is a rate above a half
    assert worst_case_p(values, 1.0) == pytest.approx(2 * binom.sf(right - 1, n, 0.5), abs=0.012)


def test_the_worst_case_test_needs_a_difference_and_enough_of_it():
    assert worst_case_p(np.zeros(30), 1.0) == 1.0
    assert worst_case_p(np.array([]), 1.0) == 1.0
    assert worst_case_p(np.full(5, 0.5), 1.0) > 0.05
    assert worst_case_p(np.full(30, 0.5), 1.0) < 0.01
    assert worst_case_p(np.full(30, -0.5), 1.0) == worst_case_p(np.full(30, 0.5), 1.0)
