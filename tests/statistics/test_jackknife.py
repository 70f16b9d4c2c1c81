"""Intervals of values of the whole dataset, by leaving out a case at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from workbench.statistics.interval import mean_interval
from workbench.statistics.jackknife import jackknife_interval

ENDS = (0.0, 1.0)


def ratio(sums):
    return float(sums[0] / sums[1])


def test_of_a_mean_it_is_the_interval_of_the_mean():
    values = np.random.default_rng(1).beta(5, 2, 60)
    rows = np.stack([values, np.ones(60)], axis=1)
    found = jackknife_interval(rows, range(60), ratio, ENDS)
    assert found.interval == pytest.approx(mean_interval(values, bounded=True).interval, abs=1e-9)


def test_repeats_of_a_case_are_one_draw():
    random = np.random.default_rng(2)
    rows = np.stack([random.random(50), random.random(50) + 1], axis=1)
    once = jackknife_interval(rows, range(50), ratio, ENDS)
    thrice = jackknife_interval(np.repeat(rows, 3, axis=0), np.repeat(np.arange(50), 3), ratio, ENDS)
    assert thrice.interval == pytest.approx(once.interval)


def test_the_value_lies_in_its_interval_and_the_interval_within_its_ends():
    rows = np.stack([np.random.default_rng(3).random(40) ** 0.05, np.ones(40)], axis=1)
    low, high = jackknife_interval(rows, range(40), ratio, ENDS).interval
    assert low <= ratio(rows.sum(axis=0)) <= high <= 1


def test_very_many_cases_are_left_out_in_groups():
    values = np.random.default_rng(4).random(5_000)
    rows = np.stack([values, np.ones(5_000)], axis=1)
    low, high = jackknife_interval(rows, range(5_000), ratio, ENDS).interval
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 5_000**0.5, rel=0.1)


def test_few_cases_and_a_value_that_is_none_without_one_of_them_say_so():
    rows = np.ones((10, 2))
    assert jackknife_interval(rows, range(10), ratio, ENDS).unknown == "too few cases"
    assert jackknife_interval(np.ones((60, 2)), [7] * 60, ratio, ENDS).unknown  # one case, sixty times
    rows = np.zeros((40, 2))
    rows[0] = 1.0
    found = jackknife_interval(rows, range(40), lambda sums: ratio(sums) if sums[1] else math.inf, ENDS)
    assert "no value" in found.unknown
