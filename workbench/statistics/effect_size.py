"""Effect sizes of paired differences, on scales that do not depend on the unit."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def cohens_g(a_only: int, b_only: int) -> float:
    """How far from even the cases fall that only one has right: -0.5 to 0.5; small from 0.05, large from 0.25."""
    return b_only / (a_only + b_only) - 0.5 if a_only + b_only else 0.0


def cohens_dz(differences: NDArray[np.float64]) -> float:
    """Mean over standard deviation; NaN where all differences are the same and not 0, or there is only one."""
    if len(differences) < 2:
        return math.nan
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    if spread > 1e-12 * max(1.0, abs(mean)):
        return mean / spread
    return 0.0 if mean == 0 else math.nan


def rank_biserial(differences: NDArray[np.float64]) -> float:
    """Share of rank sums for b minus share against it (Kerby 2014): -1 to 1, 0 without any difference."""
    changed = differences[differences != 0]
    if not len(changed):
        return 0.0
    from scipy.stats import rankdata

    ranks = rankdata(np.abs(changed))
    return float((ranks * np.sign(changed)).sum() / ranks.sum())
