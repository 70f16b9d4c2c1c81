"""Results: what a simulation found, and whether it is within the band that is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

LOW, HIGH, MOST_FALSE = 0.93, 0.97, 0.05
ERRORS = 3.0
"""standard errors of a line that are left to chance: of some hundred lines a few are two away"""

ALWAYS = 0.95
"""Share of the data sets with an interval from which its coverage is held to the band: where fewer have one, those that
do are not drawn at random."""


class SimulationResult(NamedTuple):
    """One line of the table. shown: share of the data sets with an interval. covered: of those, that hold the truth.

    below, above: those that lie wholly below and above it. false: share of all data sets with a verdict where nothing
    is there; NaN where there are no verdicts. remark: why a line is not held to the band.
    """

    what: str
    shape: str
    n: int
    datasets: int
    shown: float
    covered: float = float("nan")
    below: float = float("nan")
    above: float = float("nan")
    false: float = float("nan")
    remark: str = ""

    @property
    def counts(self) -> bool:
        """Whether the coverage is held to the band."""
        return self.shown >= ALWAYS and not self.remark

    def is_within(self, errors: float = 0.0) -> bool:
        """Within the band, give or take so many standard errors of the simulation."""
        size = max(1.0, self.datasets * self.shown)
        slack = errors * (0.05 * 0.95 / size) ** 0.5
        covered = not self.counts or np.isnan(self.covered) or LOW - slack <= self.covered <= HIGH + slack
        calm = np.isnan(self.false) or self.false <= MOST_FALSE + errors * (0.05 * 0.95 / self.datasets) ** 0.5
        return bool(covered and calm)


def cover(
    what: str,
    shape: str,
    n: int,
    intervals: Iterable[tuple[float, float]],
    truth: float,
    false: float = float("nan"),
    remark: str = "",
) -> SimulationResult:
    """intervals: of each data set, NaN where there is none."""
    ends = np.array([(low, high) for low, high in intervals])
    known = ends[~np.isnan(ends[:, 0])]
    low, high = known[:, 0], known[:, 1]
    slack = 1e-12
    below, above = high < truth - slack, low > truth + slack
    if not len(known):
        return SimulationResult(what, shape, n, len(ends), 0.0, false=false, remark=remark)
    covered = float(1 - below.mean() - above.mean())
    shown = len(known) / len(ends)
    return SimulationResult(
        what, shape, n, len(ends), shown, covered, float(below.mean()), float(above.mean()), false, remark
    )


def lay_table(results: Iterable[SimulationResult]) -> str:
    """The table as Markdown."""
    head = "| what | shape | cases | shown | coverage | too low | too high | false verdicts | |"
    lines = [head, "|---|---|---:|---:|---:|---:|---:|---:|---|"]
    for one in results:
        numbers = (one.shown, one.covered, one.below, one.above, one.false)
        cells = ["–" if np.isnan(value) else f"{value:.1%}" for value in numbers]
        remark = one.remark or ("" if one.counts or not one.shown else "seldom shown") or _judge(one)
        lines.append(f"| {one.what} | {one.shape} | {one.n} | {' | '.join(cells)} | {remark} |")
    return "\n".join(lines) + "\n"


def _judge(one: SimulationResult) -> str:
    if not one.shown:
        return "too few cases"
    return "" if one.is_within(ERRORS) else "**outside**"
