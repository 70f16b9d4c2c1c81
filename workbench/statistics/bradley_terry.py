"""Ratings from choices between two, by the model of Bradley and Terry (1952).

Strengths are natural log-odds around a mean of 0. statsmodels' binomial GLM fits the same (the tests compare them), but
takes seconds to import and knows no prior for a player who never lost; Newton's method takes two
milliseconds for eight players.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_LEVEL = 0.95
_MIN_CASES, _MIN_DECIDED = 20, 5
"""Cases in all, and wins as well as losses of each player, from which the spread of the cases themselves is known."""

_STEPS = 100
_CLOSE = 1e-10


class Strengths(NamedTuple):
    """values and errors: one each; error is the standard error of a strength against the mean of all."""

    values: NDArray[np.float64]
    errors: NDArray[np.float64]


def rate(wins: NDArray[np.float64], prior: float = 0.5) -> Strengths:
    """wins[i, j]: how often i was preferred to j, a tie being half a win for each.

    prior: wins and losses against an average player that each is given, so that one who never lost has a
    finite strength; 0 is plain maximum likelihood. The fit is that of a binomial GLM with a logit link.
    """
    games = wins + wins.T
    won = wins.sum(axis=1) + prior
    values = np.zeros(len(wins))
    for _ in range(_STEPS):
        gradient, information = _differentiate(values, games, won, prior)
        step = np.linalg.pinv(information, hermitian=True) @ gradient
        values = values + step
        if np.abs(step).max(initial=0.0) < _CLOSE:
            break
    center = np.eye(len(wins)) - 1 / max(1, len(wins))
    information = _differentiate(values, games, won, prior)[1]
    covariance = center @ np.linalg.pinv(information, hermitian=True) @ center
    return Strengths(center @ values, np.sqrt(np.maximum(covariance.diagonal(), 0.0)))


def rate_cases(
    pairs: NDArray[np.int64], shares: NDArray[np.float64], cases: NDArray[np.int64], players: int
) -> Strengths:
    """Strengths from comparisons on cases, errors being half of a 95% interval.

    pairs: two players each, shape (comparisons, 2). shares: of the first, 1 for a win, 0.5 for a tie. cases: whose
    answers were compared.

    Comparisons on the same case need not be independent, and a tie tells less than two votes would: the errors are
    those of Liang and Zeger (1986), by case. Where there are too few wins or losses for that, the larger of these and
    the model's own is taken.
    """
    wins = np.zeros((players, players))
    np.add.at(wins, (pairs[:, 0], pairs[:, 1]), shares)
    np.add.at(wins, (pairs[:, 1], pairs[:, 0]), 1 - shares)
    values, errors = rate(wins)
    robust, count = _cluster_robust_errors(values, wins, pairs, shares, cases)
    enough = count >= _MIN_CASES and min(wins.sum(axis=1).min(), wins.sum(axis=0).min()) >= _MIN_DECIDED
    from scipy.special import stdtrit

    far = float(stdtrit(max(count - 1, 1), (1 + _LEVEL) / 2))
    return Strengths(values, far * (robust if enough else np.maximum(robust, errors)))


def _cluster_robust_errors(
    values: NDArray[np.float64],
    wins: NDArray[np.float64],
    pairs: NDArray[np.int64],
    shares: NDArray[np.float64],
    cases: NDArray[np.int64],
    prior: float = 0.5,
) -> tuple[NDArray[np.float64], int]:
    """The standard errors by the spread of what each case adds to the gradient, and the number of cases."""
    own, index = np.unique(cases, return_inverse=True)
    surprise = shares - 1 / (1 + np.exp(values[pairs[:, 1]] - values[pairs[:, 0]]))
    added = np.zeros((len(own), len(values)))
    np.add.at(added, (index, pairs[:, 0]), surprise)
    np.add.at(added, (index, pairs[:, 1]), -surprise)
    games = wins + wins.T
    information = _differentiate(values, games, wins.sum(axis=1) + prior, prior)[1]
    center = np.eye(len(values)) - 1 / max(1, len(values))
    turned = added @ np.linalg.pinv(information, hermitian=True) @ center
    return np.sqrt((turned**2).sum(axis=0) * len(own) / max(1, len(own) - 1)), len(own)


def _differentiate(
    values: NDArray[np.float64], games: NDArray[np.float64], won: NDArray[np.float64], prior: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gradient and information of the log-likelihood."""
    chance = 1 / (1 + np.exp(values[None, :] - values[:, None]))
    average = 1 / (1 + np.exp(-values))
    gradient = won - (games * chance).sum(axis=1) - 2 * prior * average
    spread = games * chance * (1 - chance)
    own = spread.sum(axis=1) + 2 * prior * average * (1 - average)
    return gradient, np.diag(own) - spread
