"""Bootstrap: what else the data might have been, by drawing its rows again with replacement.

Knows nothing of intervals (interval.py). A row is a case: whatever was measured on the same case is drawn
together, which is what makes differences paired and repeats clustered.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_FEW, _MANY = 9_999, 1_999
_LARGE = 2_000  # rows from which fewer resamples do: the percentiles are then steady anyway
_BLOCK = 4_000_000  # weights held at once
_SMALL = 500  # rows up to which drawing them one by one is quick anyway
_DISTINCT = 16  # different values up to which they are drawn by their counts


def count_resamples(rows: int) -> int:
    return _FEW if rows <= _LARGE else _MANY


def draw_weights(rows: int, seed: int, resamples: int) -> Iterator[NDArray[np.float64]]:
    """How often each row was drawn, block by block: shape (resamples of the block, rows)."""
    random = np.random.default_rng(seed)
    left = resamples
    while left > 0:
        block = min(left, max(1, _BLOCK // rows))
        drawn = random.integers(rows, size=(block, rows), dtype=np.int64)
        drawn += np.arange(block, dtype=np.int64)[:, None] * rows
        yield np.bincount(drawn.ravel(), minlength=block * rows).reshape(block, rows).astype(np.float64)
        left -= block


def resample_means(columns: NDArray[np.float64], seed: int = 0, resamples: int | None = None) -> NDArray[np.float64]:
    """The mean of each column in each resample, shape (resamples, columns); rows with NaN count as missing.

    A long column of few different values, such as right and wrong, is drawn by how often it has each: the same
    draw, done at once.
    """
    drawn = count_resamples(len(columns)) if resamples is None else resamples
    means = np.empty((drawn, columns.shape[1]))
    many = []
    for at in range(columns.shape[1]):
        values, counts = np.unique(columns[~np.isnan(columns[:, at]), at], return_counts=True)
        if 0 < len(values) <= _DISTINCT and len(columns) > _SMALL:
            total = int(counts.sum())
            random = np.random.default_rng((seed, at))
            means[:, at] = random.multinomial(total, counts / total, size=drawn) @ values / total
        else:
            many.append(at)
    if many:
        means[:, many] = _resample_rows(columns[:, many], seed, drawn)
    return means


def _resample_rows(columns: NDArray[np.float64], seed: int, resamples: int) -> NDArray[np.float64]:
    present = ~np.isnan(columns)
    filled = np.where(present, columns, 0.0)
    complete = bool(present.all())
    means = []
    for weights in draw_weights(len(columns), seed, resamples):
        sums = weights @ filled
        counts = float(len(columns)) if complete else weights @ present
        with np.errstate(invalid="ignore"):
            means.append(sums / counts)
    return np.concatenate(means)
