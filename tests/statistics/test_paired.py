"""Variants against each other: the verdict, and what stands beside it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import wilcoxon

from workbench.statistics.effect_size import cohens_dz, cohens_g, rank_biserial
from workbench.statistics.paired import MCNEMAR, NO_TEST, SKEW_T, WORST_CASE, compare_pairs


def right(rate, n, seed):
    return (np.random.default_rng(seed).random(n) < rate).astype(float)


def one(a, b, **options):
    (found,) = compare_pairs(np.stack([a, b], axis=1), [(0, 1)], **options)
    return found


def test_a_clear_difference_is_better_and_the_other_way_round_worse():
    a, b = right(0.3, 200, 1), right(0.9, 200, 2)
    found = one(a, b, binary=True)
    assert (found.verdict, found.test, found.n) == ("better", MCNEMAR, 200)
    assert found.difference == pytest.approx(b.mean() - a.mean())
    assert 0 < found.interval.low < found.difference < found.interval.high
    assert one(b, a, binary=True).verdict == "worse"


def test_where_less_is_better_a_higher_value_is_worse():
    random = np.random.default_rng(3)
    a, b = random.normal(1.0, 0.2, 100), random.normal(2.0, 0.2, 100)
    found = one(a, b, lower_is_better=True)
    assert (found.verdict, found.test, found.effect_name) == ("worse", SKEW_T, "Cohen's dz")
    assert found.difference > 0


def test_a_small_difference_is_not_distinguishable_and_says_how_many_cases_would_tell():
    found = one(np.tile([0.0, 1.0, 1.0, 1.0], 10), np.tile([1.0, 1.0, 1.0, 1.0], 10) * right(0.95, 40, 4), binary=True)
    weaker = one(right(0.6, 40, 5), right(0.65, 40, 6), binary=True)
    assert weaker.verdict == "not distinguishable"
    assert weaker.needed is None or weaker.needed.cases > 40
    assert found.needed is not None


def test_variants_that_agree_everywhere_are_not_distinguishable():
    same = right(0.5, 60, 7)
    found = one(same, same, binary=True)
    assert (found.verdict, found.p, found.difference, found.needed, found.effect) == (
        "not distinguishable",
        1,
        0,
        None,
        0,
    )
    assert found.unknown == "too few cases that differ"
    numbers = np.linspace(0, 1, 20)
    found = one(numbers, numbers, bounded=True)
    assert (found.verdict, found.unknown, found.needed) == ("not distinguishable", "too few cases that differ", None)


def test_all_right_against_all_right_is_no_verdict_and_against_all_wrong_is_one():
    assert one(np.ones(30), np.ones(30), binary=True).verdict == "not distinguishable"
    found = one(np.zeros(30), np.ones(30), binary=True)
    assert (found.verdict, found.a_only, found.b_only, found.effect) == ("better", 0, 30, 0.5)


def test_five_cases_are_too_few_for_any_verdict():
    assert one(np.zeros(5), np.ones(5), binary=True).verdict == "not distinguishable"
    assert one(np.zeros(5), np.arange(5) + 1.0).verdict == "not distinguishable"


def test_only_cases_that_both_have_are_compared():
    a, b = np.array([1.0, np.nan, 0.0, 1.0]), np.array([1.0, 1.0, 1.0, np.nan])
    found = one(a, b, binary=True)
    assert (found.n, found.difference, found.b_only) == (2, 0.5, 1)


def test_no_case_in_common_is_said_and_no_error():
    found = one(np.array([1.0, np.nan]), np.array([np.nan, 1.0]), binary=True)
    assert (found.n, found.test, found.verdict, found.needed) == (0, NO_TEST, "not distinguishable", None)
    assert math.isnan(found.difference)


def test_no_rows_at_all_are_no_error():
    assert compare_pairs(np.empty((0, 2)), [(0, 1)])[0].n == 0
    assert compare_pairs(np.empty((3, 1)), []) == []


def test_repeats_of_right_and_wrong_are_compared_by_case():
    a, b = np.array([0.0, 1 / 3, 2 / 3, 1.0] * 12), np.array([1 / 3, 2 / 3, 1.0, 1.0] * 12)
    found = one(a, b, binary=True)
    assert (found.test, found.verdict) == (SKEW_T, "better")


def test_the_same_shift_everywhere_has_a_name_for_its_effect_and_a_test_that_fears_the_worst():
    found = one(np.linspace(0, 1, 10), np.linspace(0, 1, 10) + 0.5)
    assert (found.effect_name, found.effect, found.verdict) == ("rank-biserial correlation", 1.0, "better")
    assert (found.test, found.unknown) == (WORST_CASE, "too few cases")
    ratings = one(np.full(40, 0.25), np.full(40, 0.75), bounded=True)
    assert (ratings.test, ratings.verdict, ratings.unknown) == (WORST_CASE, "better", "too few cases that differ")


def test_an_interval_and_its_verdict_go_together_where_there_is_one_pair():
    random = np.random.default_rng(12)
    for shift in np.linspace(0, 0.4, 30):
        found = one(random.random(40), random.random(40) + shift, bounded=True)
        apart = not found.interval.low <= 0 <= found.interval.high
        assert apart == (found.verdict != "not distinguishable")


def test_the_cases_needed_come_with_the_range_that_the_interval_allows():
    random = np.random.default_rng(13)
    a = random.random(60)
    found = one(a, a + random.normal(0.08, 0.3, 60), bounded=True)
    assert found.verdict == "not distinguishable" and found.needed is not None
    assert 0 < found.needed.low < found.needed.cases and found.needed.high is None
    clear = one(a, a + random.normal(0.2, 0.3, 60), bounded=True)
    assert clear.needed.low < clear.needed.cases < clear.needed.high


def test_pairs_are_corrected_for_how_many_they_are():
    values = np.stack([right(rate, 80, seed) for seed, rate in enumerate((0.5, 0.55, 0.6, 0.95))], axis=1)
    pairs = [(a, b) for a in range(4) for b in range(a + 1, 4)]
    found = compare_pairs(values, pairs, binary=True)
    assert all(pair.p_adjusted >= pair.p for pair in found)
    assert min(found, key=lambda pair: pair.p).p_adjusted == pytest.approx(6 * min(pair.p for pair in found))


@pytest.mark.parametrize("binary", [True, False])
def test_where_nothing_is_there_at_most_one_bench_in_twenty_finds_anything(binary):
    random = np.random.default_rng(9)
    pairs = [(0, 1), (0, 2), (1, 2)]
    alarms = 0
    for _ in range(120):
        hard = random.random((40, 1))
        values = (random.random((40, 3)) < hard).astype(float) if binary else hard + random.normal(0, 0.3, (40, 3))
        alarms += any(pair.verdict != "not distinguishable" for pair in compare_pairs(values, pairs, binary=binary))
    assert alarms / 120 <= 0.05 + 2.5 * (0.05 * 0.95 / 120) ** 0.5


def test_effect_sizes_are_as_the_field_defines_them():
    assert cohens_g(10, 30) == 0.25
    values = np.random.default_rng(10).normal(0.4, 1.0, 30)
    assert cohens_dz(values) == pytest.approx(values.mean() / values.std(ddof=1))
    ranks = len(values) * (len(values) + 1) / 2
    assert rank_biserial(values) == pytest.approx(2 * wilcoxon(values, alternative="greater").statistic / ranks - 1)
