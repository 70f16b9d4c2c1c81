"""Intervals against the reference libraries, and how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap
from statsmodels.stats.proportion import proportion_confint

from workbench.evaluation.statistics.bootstrap import resample_means
from workbench.evaluation.statistics.interval import effective_number, mean_intervals, rate_interval, wilson

DATASETS = 2_000


def share_covered(columns, truth, binary=False):
    intervals = np.array(mean_intervals(columns, binary, resamples=999))
    return ((intervals[:, 0] <= truth + 1e-12) & (truth - 1e-12 <= intervals[:, 1])).mean()


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


@pytest.mark.parametrize(("n", "rate"), [(20, 0.5), (50, 0.8), (200, 0.3), (200, 0.9)])
def test_wilson_intervals_hold_the_true_rate_about_95_times_in_a_hundred(n, rate):
    drawn = np.random.default_rng(3).binomial(n, rate, DATASETS)
    covered = np.mean([low <= rate <= high for low, high in (wilson(int(one), n) for one in drawn)])
    assert 0.93 <= covered <= 0.97


def test_repeats_that_agree_are_worth_one_and_independent_ones_are_worth_all():
    random = np.random.default_rng(5)
    same = np.repeat(random.integers(2, size=(200, 1)), 5, axis=1).mean(axis=1)
    free = random.integers(2, size=(2_000, 5)).mean(axis=1)
    assert effective_number(same, 1_000) == 200
    assert effective_number(free, 10_000) == pytest.approx(10_000, rel=0.1)


@pytest.mark.parametrize("agreement", [0.0, 0.5, 1.0])
def test_rates_over_repeats_hold_the_truth_whether_repeats_agree_or_not(agreement):
    random = np.random.default_rng(11)
    shape = (DATASETS, 100, 3)
    own, shared = random.random(shape) < 0.7, random.random((DATASETS, 100, 1)) < 0.7
    means = np.where(random.random((DATASETS, 100, 1)) < agreement, shared, own).mean(axis=2)
    covered = np.mean([low <= 0.7 <= high for low, high in (rate_interval(one, 300) for one in means)])
    assert 0.93 <= covered <= 0.975


@pytest.mark.parametrize(
    ("n", "a_only", "b_only"), [(50, 0.1, 0.2), (100, 0.1, 0.4), (200, 0.1, 0.1), (200, 0.02, 0.1)]
)
def test_paired_differences_of_right_and_wrong_hold_the_truth(n, a_only, b_only):
    drawn = np.random.default_rng(7).random((n, DATASETS))
    differences = np.where(drawn < b_only, 1.0, np.where(drawn < b_only + a_only, -1.0, 0.0))
    assert 0.93 <= share_covered(differences, b_only - a_only, binary=True) <= 0.97


@pytest.mark.parametrize("n", [10, 20, 50, 200])
def test_paired_differences_of_numbers_hold_the_truth(n):
    random = np.random.default_rng(13)
    normal = random.normal(0.3, 1.0, (n, DATASETS))
    skewed = random.beta(2, 5, (n, DATASETS)) - random.beta(3, 4, (n, DATASETS))
    assert 0.93 <= share_covered(normal, 0.3) <= 0.97
    assert 0.93 <= share_covered(skewed, 2 / 7 - 3 / 7) <= 0.97


def test_differences_of_repeats_are_clustered_by_case():
    random = np.random.default_rng(17)
    case = random.normal(0.2, 0.5, (60, DATASETS))
    means = np.mean([case + random.normal(0, 0.5, (60, DATASETS)) for _ in range(4)], axis=0)
    assert 0.93 <= share_covered(means, 0.2) <= 0.97


def test_the_interval_is_that_of_scipy_but_for_the_allowance_for_few_rows():
    values = np.random.default_rng(19).normal(1.0, 2.0, 400)
    reference = bootstrap((values,), np.mean, n_resamples=9_999, method="percentile", random_state=1)
    (ours,) = mean_intervals(values[:, None])
    assert ours == pytest.approx(tuple(reference.confidence_interval), abs=0.015)


@pytest.mark.parametrize("rows", [400, 4_000])
def test_long_columns_of_right_and_wrong_are_drawn_as_short_ones_are(rows):
    values = (np.random.default_rng(41).random((rows, 1)) < 0.3).astype(float)
    means = resample_means(values, resamples=4_000)
    rate = values.mean()
    assert means.mean() == pytest.approx(rate, abs=0.003)
    assert means.std() == pytest.approx((rate * (1 - rate) / rows) ** 0.5, rel=0.05)


def test_the_spread_of_resampled_means_is_the_standard_error():
    values = np.random.default_rng(23).exponential(1.0, (300, 1))
    assert resample_means(values).std() == pytest.approx(values.std() / 300**0.5, rel=0.03)


def test_cases_that_all_agree_do_not_pretend_to_certainty():
    ((low, high),) = mean_intervals(np.zeros((50, 1)), binary=True)
    assert low == pytest.approx(-high) and 0.02 < high < 0.1
    ((low, high),) = mean_intervals(np.ones((50, 1)), binary=True)
    assert 0.8 < low < 1 and high == 1


def test_one_number_has_no_interval_and_none_has_neither():
    assert np.isnan(mean_intervals(np.array([[0.5]]))).all()
    assert np.isnan(mean_intervals(np.full((4, 1), np.nan))).all()
    assert np.isnan(mean_intervals(np.empty((0, 3)))).all()


def test_missing_rows_count_as_missing_and_not_as_zero():
    values = np.random.default_rng(29).normal(5.0, 1.0, 40)
    holed = np.concatenate([values, np.full(40, np.nan)])
    ((low, high),) = mean_intervals(holed[:, None])
    assert low > 4 and high < 6


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=12))
def test_an_interval_holds_the_mean_whatever_the_numbers(values):
    ((low, high),) = mean_intervals(np.array(values)[:, None])
    slack = 1e-9 * (1 + max(map(abs, values)))
    assert low - slack <= np.mean(values) <= high + slack


def test_the_same_numbers_give_the_same_interval():
    values = np.random.default_rng(31).random((30, 2))
    assert mean_intervals(values) == mean_intervals(values.copy())
