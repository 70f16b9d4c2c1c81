"""Significance: how often chance alone would make a difference as large as this one.

Knows nothing of what is compared, nor how large the difference is. All tests are paired and two-sided.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def mcnemar(a_only: int, b_only: int) -> float:
    """McNemar's exact test: p from the cases that only one of the two has right."""
    if a_only + b_only == 0:
        return 1.0
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(a_only, b_only), a_only + b_only, 0.5)))


def holm(p: Sequence[float]) -> list[float]:
    """The p-values after Holm's correction (1979): one false alarm in the whole family is then as rare as p says."""
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(np.asarray(p)[order] * np.arange(len(order), 0, -1)))
    return [float(value) for value in adjusted]
