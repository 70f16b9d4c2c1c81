"""How many cases it takes, against statsmodels and by trying it out."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from workbench.evaluation.statistics.power import cases_for_means, cases_for_rates
from workbench.evaluation.statistics.significance import mcnemar


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
