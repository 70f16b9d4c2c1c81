"""Prediction-powered means: coverage by simulation, and against evalstats where it is installed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from workbench.statistics.prediction_powered import correct_mean


def draw(random, cases, labelled, accuracy, rate=0.6):
    truth = (random.random(cases) < rate) * 1.0
    judged = np.where(random.random(cases) < accuracy, truth, 1 - truth)
    labels = np.full(cases, np.nan)
    chosen = random.choice(cases, labelled, replace=False)
    labels[chosen] = truth[chosen]
    return judged, labels


@pytest.mark.parametrize("accuracy", [0.5, 0.7, 0.9])
def test_the_interval_holds_the_truth_however_bad_the_judge_is(accuracy):
    random = np.random.default_rng(11)
    found = [correct_mean(*draw(random, 300, 60, accuracy)).bounds.interval for _ in range(400)]
    covered = np.mean([low <= 0.6 <= high for low, high in found])
    assert 0.92 < covered < 0.98


def test_a_good_judge_narrows_the_interval_and_a_worthless_one_does_not_widen_it():
    random = np.random.default_rng(12)

    def width(accuracy):
        drawn = [correct_mean(*draw(random, 600, 60, accuracy)).bounds.interval for _ in range(50)]
        return np.mean([high - low for low, high in drawn])

    alone = 2 * 2.0 * math.sqrt(0.6 * 0.4 / 60)
    assert width(0.95) < 0.7 * alone
    assert width(0.5) < 1.05 * alone


def test_a_biased_judge_is_corrected():
    labels = np.r_[np.zeros(30), np.full(170, np.nan)]
    assert correct_mean(np.ones(200), labels).value == 0.0


def test_too_few_labels_have_a_value_and_no_interval():
    labels = np.r_[1.0, 0.0, np.full(8, np.nan)]
    found = correct_mean(np.full(10, 0.5), labels)
    assert (found.value, found.labels, found.bounds.unknown) == (0.5, 2, "too few cases")
    assert math.isnan(correct_mean(np.ones(3), np.full(3, np.nan)).value)


def test_as_evalstats_has_it():
    evalstats = pytest.importorskip("evalstats")
    judged, labels = draw(np.random.default_rng(13), 1_000, 100, 0.75)
    own = correct_mean(judged, labels)
    with pytest.warns(UserWarning):
        other = evalstats.judge_debias_mean_ci(judged, labels, rng=1)
    assert own.value == pytest.approx(other.mean, abs=0.01)
    assert own.bounds.interval == pytest.approx((other.ci_low, other.ci_high), abs=0.015)
