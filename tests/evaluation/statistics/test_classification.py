"""F1 over a dataset against scikit-learn, and its interval."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from workbench.evaluation.statistics.classification import count_pairs, score_f1


def test_macro_f1_is_that_of_scikit_learn():
    random = np.random.default_rng(1)
    expected, answered = random.integers(4, size=150), random.integers(5, size=150)
    found = score_f1(count_pairs(expected, answered, 4))
    labels = [0, 1, 2, 3]
    assert found.macro == pytest.approx(f1_score(expected, answered, labels=labels, average="macro", zero_division=0))
    assert found.per_class == pytest.approx(f1_score(expected, answered, labels=labels, average=None, zero_division=0))
    assert found.macro_interval.low < found.macro < found.macro_interval.high


def test_a_label_that_is_never_answered_scores_0():
    counts = count_pairs(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 7]), 2)
    assert counts.tolist() == [[2, 0, 0], [1, 0, 1]]
    assert score_f1(counts).per_class == pytest.approx([0.8, 0.0])


def test_macro_f1s_interval_holds_the_truth_about_95_times_in_a_hundred():
    random = np.random.default_rng(2)
    truth = np.array([[0.3, 0.1, 0.0], [0.1, 0.2, 0.0], [0.05, 0.05, 0.2]])
    shares = np.hstack([truth, np.zeros((3, 1))])
    goal = score_f1((shares * 10**9).astype(np.int64)).macro
    inside = [
        low <= goal <= high
        for low, high in (
            score_f1(random.multinomial(200, shares.ravel()).reshape(3, 4), resamples=999).macro_interval
            for _ in range(500)
        )
    ]
    assert 0.93 <= np.mean(inside) <= 0.97


def test_very_many_labels_have_a_value_and_no_interval():
    found = score_f1(np.eye(100, 101, dtype=np.int64))
    assert found.macro == 1 and np.isnan(found.macro_interval.low)
