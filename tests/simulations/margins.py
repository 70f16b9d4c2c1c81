"""A gate's and a retention check's errors: passing a score that has fallen by the margin, failing one that has not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from workbench.statistics.non_inferiority import check_margin
from workbench.statistics.paired import compare_pairs

from .results import SimulationResult

_RATES = ((0.02, 0.02), (0.02, 0.06), (0.05, 0.05), (0.05, 0.2), (0.1, 0.1), (0.1, 0.4))
"""margin, and the share of cases that differ"""


def simulate_margin(random: np.random.Generator, sizes: tuple[int, ...], datasets: int) -> Iterator[SimulationResult]:
    """Scores that have fallen by exactly the margin: how often they pass."""
    for margin, differ in _RATES:
        for n in sizes:
            drawn = random.multinomial(n, [(differ + margin) / 2, (differ - margin) / 2, 1 - differ], datasets)
            passed = [check_margin(_lay(*row), margin, True, True).within for row in drawn]
            yield _make("passes at the margin", f"right and wrong, margin {margin:.0%}, {differ:.0%} differ", n, passed)
    for margin in (0.02, 0.05, 0.1):
        for n in sizes:
            falls = -1.0 * (random.random((datasets, n)) < margin)
            noise = (random.random((datasets, n)) < 0.3) * random.choice([-0.2, 0.2], (datasets, n))
            passed = [check_margin(row, margin, False, True).within for row in falls + noise]
            yield _make("passes at the margin", f"graded, margin {margin:.0%}, rare total losses", n, passed)


def simulate_alarm(random: np.random.Generator, sizes: tuple[int, ...], datasets: int) -> Iterator[SimulationResult]:
    """Three variants that have not changed: how often any is called worse."""
    for differ in (0.02, 0.1, 0.4):
        for n in sizes:
            drawn = random.multinomial(n, [differ / 2, differ / 2, 1 - differ], (datasets, 3))
            yield _make("called worse, unchanged", f"three variants, {differ:.0%} differ", n, map(_any_worse, drawn))


def _any_worse(rows: np.ndarray) -> bool:
    after = np.stack([_lay(*row) for row in rows], axis=1)
    values = np.stack([side for at in range(3) for side in (np.zeros(len(after)), after[:, at])], axis=1)
    return any(one.verdict == "worse" for one in compare_pairs(values, [(0, 1), (2, 3), (4, 5)], binary=True))


def _lay(lost: int, won: int, same: int) -> np.ndarray:
    return np.r_[-np.ones(lost), np.ones(won), np.zeros(same)]


def _make(what: str, shape: str, n: int, found) -> SimulationResult:
    hits = list(found)
    return SimulationResult(what, shape, n, len(hits), 1.0, false=float(np.mean(hits)))
