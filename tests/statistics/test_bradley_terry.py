"""Bradley-Terry ratings against statsmodels' binomial GLM."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from workbench.statistics.bradley_terry import rate, rate_cases


def fit_glm(wins):
    """Strengths around their mean, by a logit GLM whose first player is the reference."""
    size = len(wins)
    rows, outcomes = [], []
    for i in range(size):
        for j in range(i + 1, size):
            row = np.zeros(size)
            row[i], row[j] = 1, -1
            rows.append(row[1:])
            outcomes.append((wins[i, j], wins[j, i]))
    fitted = sm.GLM(np.array(outcomes), np.array(rows), family=sm.families.Binomial()).fit()
    back = np.vstack([np.zeros(size - 1), np.eye(size - 1)])
    center = np.eye(size) - 1 / size
    covariance = center @ back @ fitted.cov_params() @ back.T @ center
    return center @ back @ fitted.params, np.sqrt(covariance.diagonal())


def test_ratings_and_their_errors_are_those_of_a_logit_model():
    wins = np.random.default_rng(1).integers(3, 30, (5, 5)).astype(float)
    np.fill_diagonal(wins, 0)
    values, errors = fit_glm(wins)
    ours = rate(wins, prior=0)
    assert ours.values == pytest.approx(values, abs=1e-8)
    assert ours.errors == pytest.approx(errors, abs=1e-6)


def test_ratings_hold_the_true_strengths_about_95_times_in_a_hundred():
    random, truth = np.random.default_rng(2), np.array([-0.6, -0.1, 0.2, 0.5])
    inside = []
    for _ in range(400):
        wins = np.zeros((4, 4))
        for i in range(4):
            for j in range(i + 1, 4):
                wins[i, j] = random.binomial(40, 1 / (1 + np.exp(truth[j] - truth[i])))
                wins[j, i] = 40 - wins[i, j]
        values, errors = rate(wins)
        inside.append(np.abs(values - truth) <= 1.96 * errors)
    assert 0.93 <= np.mean(inside) <= 0.97


def test_one_who_never_lost_has_a_finite_rating():
    values, errors = rate(np.array([[0.0, 9.0], [0.0, 0.0]]))
    assert np.isfinite(values).all() and np.isfinite(errors).all()
    assert values[0] > values[1]


def test_without_votes_all_are_equal_and_nothing_is_known():
    values, errors = rate(np.zeros((3, 3)))
    assert values == pytest.approx([0, 0, 0])
    assert (errors > 1).all()


def test_groups_that_never_met_still_have_ratings():
    wins = np.zeros((4, 4))
    wins[0, 1], wins[1, 0], wins[2, 3], wins[3, 2] = 5, 2, 1, 6
    assert np.isfinite(rate(wins).values).all()


def test_errors_by_case_are_a_logit_models_clustered_ones():
    random = np.random.default_rng(6)
    cases = np.repeat(np.arange(60), 2)
    pairs = np.tile([(0, 1)], (120, 1))
    shares = (random.random(120) < 0.6).astype(float)
    found = rate_cases(pairs, shares, cases, 2)
    model = sm.GLM(shares, np.ones((120, 1)), family=sm.families.Binomial())
    fitted = model.fit(cov_type="cluster", cov_kwds={"groups": cases})
    gap = found.values[0] - found.values[1]
    assert gap == pytest.approx(fitted.params[0], rel=0.02)  # ours has a prior of half a game
    assert found.errors[0] == pytest.approx(2.0010 * fitted.bse[0] / 2, rel=0.03)


def test_a_player_who_hardly_ever_lost_has_the_wider_of_two_errors():
    pairs, cases = np.tile([(0, 1)], (40, 1)), np.arange(40)
    shares = np.ones(40)
    shares[0] = 0.0
    found = rate_cases(pairs, shares, cases, 2)
    assert found.errors[0] >= 2.02 * rate(np.array([[0.0, 39.0], [1.0, 0.0]])).errors[0]
