"""Significance: how often chance alone would make a difference as large as this one.

Knows nothing of what is compared, nor how large the difference is. All tests are paired and two-sided.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.statistics.bootstrap import count_resamples

_EXACT = 13  # differences of which every choice of signs is tried
_BLOCK = 4_000_000  # signs held at once


def mcnemar(a_only: int, b_only: int) -> float:
    """McNemar's exact test: p from the cases that only one of the two has right."""
    if a_only + b_only == 0:
        return 1.0
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(a_only, b_only), a_only + b_only, 0.5)))


def flip_signs(columns: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
    """The paired permutation test of each column of differences: p for a mean of 0.

    Every choice of signs is tried where the column has few differences; else a seeded sample of them, in which
    the observed one is counted too, so that p is never 0. NaN rows are missing, and zeros weigh nothing.
    """
    filled = np.nan_to_num(columns, nan=0.0)
    p = np.ones(filled.shape[1])
    used = (filled != 0).sum(axis=0)
    for at in np.flatnonzero((used > 0) & (used <= _EXACT)):
        p[at] = _try_all(filled[filled[:, at] != 0, at])
    many = np.flatnonzero(used > _EXACT)
    if many.size:
        p[many] = _try_some(filled[:, many], seed)
    return p


def _try_all(differences: NDArray[np.float64]) -> float:
    count = len(differences)
    bits = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
    return float(_is_as_large((1 - 2 * bits) @ differences[:, None], differences[:, None]).mean())


def _try_some(columns: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    total = left = count_resamples(len(columns))
    hits = np.zeros(columns.shape[1])
    while left > 0:
        block = min(left, max(1, _BLOCK // len(columns)))
        signs = random.integers(2, size=(block, len(columns)), dtype=np.int8) * 2 - 1
        hits += _is_as_large(signs.astype(np.float64) @ columns, columns).sum(axis=0)
        left -= block
    return (hits + 1) / (total + 1)


def _is_as_large(sums: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether a sum is at least the observed one, rounding aside."""
    slack = 1e-9 * np.abs(columns).sum(axis=0)
    large: NDArray[np.bool_] = np.abs(sums) >= np.abs(columns.sum(axis=0)) - slack
    return large


def holm(p: Sequence[float]) -> list[float]:
    """The p-values after Holm's correction (1979): one false alarm in the whole family is then as rare as p says."""
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(np.asarray(p)[order] * np.arange(len(order), 0, -1)))
    return [float(value) for value in adjusted]
