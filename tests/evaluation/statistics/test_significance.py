"""Tests of significance against the reference libraries, and how often they are wrong where nothing is there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, permutation_test
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests

from workbench.evaluation.statistics.significance import flip_signs, holm, mcnemar

counts = st.integers(0, 80)


@given(counts, counts)
def test_mcnemars_test_is_that_of_statsmodels(a_only, b_only):
    reference = reference_mcnemar([[7, a_only], [b_only, 9]], exact=True).pvalue if a_only + b_only else 1.0
    assert mcnemar(a_only, b_only) == pytest.approx(reference, abs=1e-12)


def test_mcnemars_test_stays_exact_for_very_many_cases():
    assert mcnemar(4_800, 5_200) == pytest.approx(binomtest(4_800, 10_000).pvalue, rel=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holms_correction_is_that_of_statsmodels(p):
    assert holm(p) == pytest.approx(list(multipletests(p, method="holm")[1]), abs=1e-12)


@pytest.mark.parametrize("n", [2, 5, 9, 12])
def test_few_differences_are_permuted_exactly_as_scipy_does(n):
    values = np.random.default_rng(n).normal(0.5, 1.0, n)
    reference = permutation_test(
        (values, np.zeros(n)), lambda a, b, axis: (a - b).mean(axis=axis), permutation_type="samples", vectorized=True
    )
    assert flip_signs(values[:, None])[0] == pytest.approx(reference.pvalue, abs=1e-12)


def test_many_differences_are_sampled_close_to_what_scipy_finds():
    values = np.random.default_rng(2).normal(0.25, 1.0, 60)
    reference = permutation_test(
        (values, np.zeros(60)),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=20_000,
        rng=4,
    )
    assert flip_signs(values[:, None])[0] == pytest.approx(reference.pvalue, abs=0.01)


def test_no_difference_is_no_evidence():
    assert flip_signs(np.zeros((30, 1)))[0] == 1
    assert flip_signs(np.full((30, 1), np.nan))[0] == 1
    assert flip_signs(np.empty((0, 2))).tolist() == [1, 1]


def test_a_sampled_p_is_never_zero():
    assert 0 < flip_signs(np.ones((500, 1)))[0] < 0.001


def test_two_columns_are_tested_as_each_would_be_alone():
    columns = np.random.default_rng(6).normal(0.1, 1.0, (40, 3))
    together = flip_signs(columns)
    assert together == pytest.approx([flip_signs(columns[:, [at]])[0] for at in range(3)])


@pytest.mark.parametrize("n", [8, 30, 200])
def test_chance_alone_is_called_significant_at_most_5_times_in_a_hundred(n):
    random = np.random.default_rng(8)
    numbers = random.normal(0, 1, (n, 2_000))
    assert (flip_signs(numbers) <= 0.05).mean() <= 0.062  # 5% and 2.5 standard errors of the simulation
    rightness = random.integers(2, size=(n, 2_000)) - random.integers(2, size=(n, 2_000))
    p = [mcnemar(int((own < 0).sum()), int((own > 0).sum())) for own in rightness.T]
    assert np.mean(np.array(p) <= 0.05) <= 0.05
