"""F1 over a dataset against scikit-learn, and its interval."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from workbench.statistics.f1 import count_pairs, score_f1, score_repeated_f1


def test_macro_f1_is_that_of_scikit_learn():
    random = np.random.default_rng(1)
    expected, answered = random.integers(4, size=150), random.integers(5, size=150)
    found = score_f1(count_pairs(expected, answered, 4))
    labels = [0, 1, 2, 3]
    assert found.macro == pytest.approx(f1_score(expected, answered, labels=labels, average="macro", zero_division=0))
    assert found.per_class == pytest.approx(f1_score(expected, answered, labels=labels, average=None, zero_division=0))
    low, high = found.macro_bounds.interval
    assert low < found.macro < high


def test_a_label_that_is_never_answered_scores_0():
    counts = count_pairs(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 7]), 2)
    assert counts.tolist() == [[2, 0, 0], [1, 0, 1]]
    assert score_f1(counts).per_class == pytest.approx([0.8, 0.0])


def test_all_right_is_not_certain():
    low, high = score_f1(np.diag([20, 20, 20]) @ np.eye(3, 4, dtype=np.int64)).macro_bounds.interval
    assert 0.9 < low < 0.99 and high == 1


def test_a_rare_label_leaves_the_macro_f1_without_interval():
    found = score_f1(np.array([[90, 2, 0], [1, 3, 0]]))
    assert found.macro_bounds.unknown == "too few cases of a label"
    assert np.isnan(found.macro_bounds.interval.low)
    assert score_f1(np.array([[90, 2, 0], [1, 4, 0]])).macro_bounds.unknown == ""


def test_very_many_labels_have_a_value_and_no_interval():
    found = score_f1(10 * np.eye(100, 101, dtype=np.int64))
    assert found.macro == 1 and found.macro_bounds.unknown == "too many labels"


def test_repeats_that_agree_are_worth_no_more_than_their_cases():
    counts = np.array([[40, 8, 2], [6, 30, 0]])
    once = score_f1(counts)
    kinds = np.zeros((counts.size, *counts.shape))
    kinds.reshape(counts.size, -1)[np.arange(counts.size), np.arange(counts.size)] = 1.0  # each case five times alike
    used = counts.ravel() > 0
    again = score_repeated_f1(kinds[used], counts.ravel()[used])
    assert again.macro == pytest.approx(once.macro)
    assert again.macro_bounds.interval == pytest.approx(once.macro_bounds.interval)
