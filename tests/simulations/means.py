"""Means, rates and paired differences: coverage of their intervals, and false verdicts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from workbench.statistics.interval import mean_interval, rate_difference_interval, rate_interval, wilson
from workbench.statistics.paired import compare_pairs
from workbench.statistics.power import cases_for_rates, needed_for_rates

from .results import SimulationResult, cover
from .shapes import DIFFERENCES, SCORES, ScoreShape

NO_BAND = "no interval of a rate can: Brown, Cai and DasGupta 2001"
NEEDED = "as wide as the interval of the difference"


def simulate_means(random: np.random.Generator, sizes: tuple[int, ...], datasets: int) -> Iterator[SimulationResult]:
    for shape in SCORES:
        for n in sizes:
            drawn = shape.draw(random, (datasets, n))
            yield cover("mean", shape.name, n, (mean_interval(row, shape.bounded)[0] for row in drawn), shape.mean)


def simulate_differences(
    random: np.random.Generator, sizes: tuple[int, ...], datasets: int
) -> Iterator[SimulationResult]:
    for shape in DIFFERENCES:
        for n in sizes:
            yield _simulate_pair(shape, n, shape.draw(random, (datasets, n)))


def _simulate_pair(shape: ScoreShape, n: int, drawn: np.ndarray) -> SimulationResult:
    found = [compare_pairs(np.stack([np.zeros(n), row], axis=1), [(0, 1)], bounded=shape.bounded)[0] for row in drawn]
    false = float(np.mean([one.verdict != "not distinguishable" for one in found]))
    return cover("paired difference", shape.name, n, (one.interval for one in found), shape.mean, false)


def simulate_rates(random: np.random.Generator, sizes: tuple[int, ...], datasets: int) -> Iterator[SimulationResult]:
    """Over many true rates, since for a single one the coverage of any interval jumps with every case."""
    for n in sizes:
        for low, high in ((0.5, 0.98), (0.9, 0.98)):
            rates = random.uniform(low, high, datasets)
            ends = [wilson(int(right), n) for right in random.binomial(n, rates)]
            shifted = [(a - rate, b - rate) for (a, b), rate in zip(ends, rates, strict=True)]
            yield cover("rate", f"true rates {low} to {high}", n, shifted, 0.0)
        for rate in (0.95, 0.99):
            ends = [wilson(int(right), n) for right in random.binomial(n, rate, datasets)]
            yield cover("rate", f"true rate {rate}", n, ends, rate, remark=NO_BAND)


def simulate_repeats(random: np.random.Generator, sizes: tuple[int, ...], datasets: int) -> Iterator[SimulationResult]:
    """Three repeats of each case, which agree always, half of the time or only by chance."""
    for agreement in (0.0, 0.5, 1.0):
        for n in sizes:
            shape, rates = (datasets, n, 3), random.uniform(0.5, 0.9, (datasets, 1, 1))
            own, shared = random.random(shape) < rates, random.random((datasets, n, 1)) < rates
            means = np.where(random.random((datasets, n, 1)) < agreement, shared, own).mean(axis=2)
            ends = [
                (np.array(rate_interval(row, 3 * n)) - rate) for row, rate in zip(means, rates[:, 0, 0], strict=True)
            ]
            name = f"true rates 0.5 to 0.9, of three repeats {agreement:.0%} agree"
            yield cover("rate", name, n, map(tuple, ends), 0.0)


_DISCORDANT = ((0.1, 0.1), (0.05, 0.05), (0.02, 0.02), (0.02, 0.1), (0.1, 0.3), (0.0, 0.1))


def simulate_rate_differences(
    random: np.random.Generator, sizes: tuple[int, ...], datasets: int
) -> Iterator[SimulationResult]:
    for a_only, b_only in _DISCORDANT:
        for n in sizes:
            drawn = random.multinomial(n, [a_only, b_only, 1 - a_only - b_only], datasets)
            ends = [rate_difference_interval(int(a), int(b), n)[0] for a, b, _ in drawn]
            yield cover(
                "difference of rates",
                f"only a right {a_only:.0%}, only b {b_only:.0%}",
                n,
                ends,
                b_only - a_only,
                _count_false(drawn, n) if a_only == b_only else float("nan"),
            )


def _count_false(drawn: np.ndarray, n: int) -> float:
    """Share of the data sets with a verdict on two variants that are alike."""
    kinds, counts = np.unique(drawn, axis=0, return_counts=True)
    false = 0
    for (a, b, _), count in zip(kinds, counts, strict=True):
        values = np.zeros((n, 2))
        values[:a, 0] = 1.0
        values[a : a + b, 1] = 1.0
        false += int(count) * (compare_pairs(values, [(0, 1)], binary=True)[0].verdict != "not distinguishable")
    return false / len(drawn)


def simulate_families(random: np.random.Generator, sizes: tuple[int, ...], datasets: int) -> Iterator[SimulationResult]:
    """Four variants that are alike: six pairs, and in how many runs any of them has a verdict."""
    pairs = [(a, b) for a in range(4) for b in range(a + 1, 4)]
    for n in sizes:
        for name, binary in (("right and wrong", True), ("scores near 1", False)):
            false = 0
            for _ in range(datasets):
                hard = random.random((n, 1))
                if binary:
                    values = (random.random((n, 4)) < hard).astype(float)
                else:
                    values = np.where(random.random((n, 4)) < 0.4 * hard, random.random((n, 4)), 1.0)
                found = compare_pairs(values, pairs, binary, bounded=True)
                false += any(one.verdict != "not distinguishable" for one in found)
            yield SimulationResult("any of six pairs", name, n, datasets, 1.0, false=false / datasets)


def simulate_needed(random: np.random.Generator, sizes: tuple[int, ...], datasets: int) -> Iterator[SimulationResult]:
    """How often the range of the cases needed holds the number that the true rates ask for."""
    a_only, b_only = 0.1, 0.25
    truth = cases_for_rates(a_only, b_only)
    assert truth is not None
    for n in sizes:
        ends = []
        for a, b, _ in random.multinomial(n, [a_only, b_only, 1 - a_only - b_only], datasets):
            found = needed_for_rates(a / n, b / n, rate_difference_interval(int(a), int(b), n)[0])
            known = found is not None and found.low > 0
            ends.append((found.low, found.high or np.inf) if found and known else (np.nan, np.nan))
        yield cover("range of cases needed", "only a right 10%, only b 25%", n, ends, truth, remark=NEEDED)
