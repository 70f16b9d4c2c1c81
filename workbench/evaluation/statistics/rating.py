"""Ratings: strengths from choices between two, by the model of Bradley and Terry (1952).

Knows nothing of who chose. Strengths are natural log-odds around a mean of 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
