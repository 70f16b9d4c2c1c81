"""Non-inferiority against hand-computed bounds; how often it errs: tests/simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from workbench.statistics.non_inferiority import check_margin


def gains_of(lost: int, won: int, n: int) -> np.ndarray:
    return np.r_[-np.ones(lost), np.ones(won), np.zeros(n - lost - won)]


@pytest.mark.parametrize("lost", [0, 1, 4])
def test_few_losses_are_bounded_by_the_exact_rate_of_losses(lost):
    found = check_margin(gains_of(lost, 0, 200), 0.02, binary=True, bounded=True)
    exact = binomtest(lost, 200).proportion_ci(0.95, "exact").high
    assert found.bound == pytest.approx(-exact if lost else -(1 - 0.025 ** (1 / 200)), rel=1e-6)
    assert found.within == (found.bound > -0.02)


def test_many_that_differ_are_bounded_by_the_interval():
    found = check_margin(gains_of(10, 12, 200), 0.05, binary=True, bounded=True)
    assert found.bound == found.low == pytest.approx(-0.0376, abs=1e-4)
    assert found.within


def test_needed_cases_are_enough_four_times_in_five():
    random = np.random.default_rng(5)
    found = check_margin(gains_of(10, 10, 200), 0.02, binary=True, bounded=True)
    n = found.needed_cases
    assert n is not None and not found.within
    drawn = random.multinomial(n, [0.05, 0.05, 0.9], 400)
    power = np.mean([check_margin(gains_of(a, b, n), 0.02, True, True).within for a, b, _ in drawn])
    assert 0.75 < power < 0.87


def test_a_margin_below_what_so_few_cases_can_show_is_never_met():
    values = np.r_[np.linspace(0.001, 0.02, 50)]
    assert not check_margin(values, 0.02, binary=False, bounded=True).within
    assert check_margin(np.tile(values, 4), 0.02, binary=False, bounded=True).within


def test_nothing_can_be_said_of_no_case_or_of_few_unbounded_ones():
    assert check_margin(np.array([math.nan]), 0.1, True, True).n == 0
    few = check_margin(np.zeros(10), 0.1, binary=False, bounded=False)
    assert (few.within, few.needed_cases) == (False, None)
