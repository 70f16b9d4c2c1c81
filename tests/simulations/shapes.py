"""Shapes: distributions of scores and of paired differences, each with its true mean.

Knows nothing of intervals. Every function draws an array of the wanted shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Draw = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]


class ScoreShape(NamedTuple):
    """bounded: scores lie between 0 and 1, differences between -1 and 1."""

    name: str
    draw: Draw
    mean: float
    bounded: bool


def near_ceiling(share: float, a: float, b: float) -> Draw:
    """1, but for a share of cases that lie below it as a beta distribution has them."""

    def draw(random: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.float64]:
        return np.where(random.random(size) < share, random.beta(a, b, size), 1.0)

    return draw


def choose(values: tuple[float, ...], chances: tuple[float, ...]) -> Draw:
    return lambda random, size: random.choice(values, size=size, p=chances)


def _mixed_f1(random: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.float64]:
    """A token F1: often 0, often 1, else in between."""
    place = random.random(size)
    return np.where(place < 0.15, 0.0, np.where(place < 0.75, 1.0, random.beta(3, 2, size)))


def _edit_distance(random: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.float64]:
    return np.where(random.random(size) < 0.5, 0.0, random.geometric(0.15, size))


_LIKERT = (0.0, 0.25, 0.5, 0.75, 1.0)

SCORES = (
    ScoreShape("uniform 0.8 to 1", lambda r, s: 0.8 + 0.2 * r.random(s), 0.9, True),
    ScoreShape("beta(8, 0.5), near 1", lambda r, s: r.beta(8, 0.5, s), 8 / 8.5, True),
    ScoreShape("beta(2, 0.3), near 1", lambda r, s: r.beta(2, 0.3, s), 2 / 2.3, True),
    ScoreShape("3% below 1, uniform", near_ceiling(0.03, 1, 1), 1 - 0.03 / 2, True),
    ScoreShape("10% below 1, uniform", near_ceiling(0.1, 1, 1), 1 - 0.1 / 2, True),
    ScoreShape("20% below 1, uniform", near_ceiling(0.2, 1, 1), 1 - 0.2 / 2, True),
    ScoreShape("40% below 1, uniform", near_ceiling(0.4, 1, 1), 1 - 0.4 / 2, True),
    ScoreShape("30% a little below 1", near_ceiling(0.3, 6, 1), 1 - 0.3 / 7, True),
    ScoreShape("five ratings, 70% the best", choose(_LIKERT, (0.02, 0.03, 0.05, 0.2, 0.7)), 0.8825, True),
    ScoreShape("five ratings, 90% the best", choose(_LIKERT, (0.01, 0.01, 0.02, 0.06, 0.9)), 0.9575, True),
    ScoreShape("token F1: 0, 1 or between", _mixed_f1, 0.6 + 0.25 * 0.6, True),
    ScoreShape("normal", lambda r, s: r.normal(size=s), 0.0, False),
    ScoreShape("Student's t, 3 degrees", lambda r, s: r.standard_t(3, s), 0.0, False),
    ScoreShape("exponential", lambda r, s: r.exponential(size=s), 1.0, False),
    ScoreShape("gamma(0.5)", lambda r, s: r.gamma(0.5, size=s), 0.5, False),
    ScoreShape("log-normal, sigma 0.5", lambda r, s: r.lognormal(0, 0.5, s), math.exp(0.125), False),
    ScoreShape("log-normal, sigma 1", lambda r, s: r.lognormal(0, 1, s), math.exp(0.5), False),
    ScoreShape("edit distance: half 0", _edit_distance, 0.5 / 0.15, False),
)

_UNIFORM_BELOW = near_ceiling(0.2, 1, 1)

DIFFERENCES = (
    ScoreShape("normal", lambda r, s: r.normal(size=s), 0.0, False),
    ScoreShape("Student's t, 3 degrees", lambda r, s: r.standard_t(3, s), 0.0, False),
    ScoreShape("exponential, less 1", lambda r, s: r.exponential(size=s) - 1, 0.0, False),
    ScoreShape("gamma(0.5), less 0.5", lambda r, s: r.gamma(0.5, size=s) - 0.5, 0.0, False),
    ScoreShape("log-normal, sigma 1, less its mean", lambda r, s: r.lognormal(0, 1, s) - math.exp(0.5), 0.0, False),
    ScoreShape("beta(1, 6), less 1/7", lambda r, s: r.beta(1, 6, s) - 1 / 7, 0.0, True),
    ScoreShape("beta(0.5, 4), less 1/9", lambda r, s: r.beta(0.5, 4, s) - 1 / 9, 0.0, True),
    ScoreShape("two scores near 1", lambda r, s: _UNIFORM_BELOW(r, s) - _UNIFORM_BELOW(r, s), 0.0, True),
    ScoreShape("near 1 against steady 0.9", lambda r, s: _UNIFORM_BELOW(r, s) - 0.85 - 0.1 * r.random(s), 0.0, True),
    ScoreShape("often a little better, seldom far worse", choose((0.0, 0.1, -0.3), (0.6, 0.3, 0.1)), 0.0, True),
)
