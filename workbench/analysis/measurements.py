"""A run's numbers as arrays, cases down and variants across, and the means over them. Reads no texts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.analysis.summary import Estimate
from workbench.runs.matrix_rows import Metric
from workbench.runs.view import RunView
from workbench.statistics.interval import LEVEL, Bounds, mean_interval, rate_interval
from workbench.statistics.paired import PairedComparison, compare_pairs
from workbench.store.cell_figures import count_unscored, read_figures, read_sums

MOST_CUT = 0.05
"""The share of a variant's answers that may be cut off before its scores allow no verdict."""


class MetricTable(NamedTuple):
    """One metric. means: of a case's repeats, NaN where a variant has no score for a case; shape (cases, variants).

    counts: the cells behind each mean.
    """

    cases: NDArray[np.int64]
    means: NDArray[np.float64]
    counts: NDArray[np.int64]


class Costs(NamedTuple):
    """What the cells of one variant took; 0 where no cell says."""

    n: int
    failed: int
    cached: int
    latency_p50: float
    latency_p95: float
    tokens_in: float
    tokens_out: float
    tokens_per_second: float
    cost_per_thousand: float
    cut: int
    cut_in_reasoning: int
    thinking_tokens: float
    first_answer_p50: float
    thought: int
    cached_p50: float


def read_table(view: RunView, metric: str) -> MetricTable:
    """A run's values of one metric, cases in order."""
    index = [one.name for one in view.metrics].index(metric)
    rows = read_sums(view.store, view.run.key, index)
    return tabulate(np.array(rows, dtype=np.float64).reshape(len(rows), 4), len(view.variants))


def tabulate(rows: NDArray[np.float64], variants: int) -> MetricTable:
    """rows: case, place of the variant, sum of the repeats' values, number of repeats.

    A value without bounds, such as the perplexity of what a model holds for impossible, has no mean: it is missing.
    """
    rows = rows[np.isfinite(rows[:, 2])]
    cases, at = np.unique(rows[:, 0].astype(np.int64), return_inverse=True)
    indexes = rows[:, 1].astype(np.int64)
    means = np.full((len(cases), variants), np.nan)
    counts = np.zeros((len(cases), variants), dtype=np.int64)
    means[at, indexes] = rows[:, 2] / rows[:, 3]
    counts[at, indexes] = rows[:, 3]
    return MetricTable(cases, means, counts)


def read_costs(view: RunView) -> dict[str, Costs]:
    """What each variant's cells took."""
    rows = read_figures(view.store, view.run.key)
    figures = np.array(rows, dtype=np.float64).reshape(len(rows), 13)
    return {name: _add_up(figures[figures[:, 0] == index, 1:]) for index, name in enumerate(view.variants)}


def _add_up(rows: NDArray[np.float64]) -> Costs:
    """A cached cell's times are of another day, and a failed one's of no answer: neither counts as speed."""
    failed, cached = rows[:, 0] > 0, rows[:, 1] > 0
    answered = rows[~failed]
    counted = answered[answered[:, 3] + answered[:, 4] > 0]  # a server may not tell its tokens
    fresh = rows[~failed & ~cached]
    speeds = fresh[fresh[:, 5] > 0, 5]
    return Costs(
        len(rows),
        int(failed.sum()),
        int(cached.sum()),
        _quantile(fresh[:, 2], 0.5),
        _quantile(fresh[:, 2], 0.95),
        _mean(counted[:, 3]),
        _mean(counted[:, 4]),
        _mean(speeds),
        _mean(counted[:, 6]) * 1000,
        int(rows[:, 7].sum()),
        int(rows[:, 8].sum()),
        _mean(answered[:, 9]),
        _quantile(fresh[fresh[:, 11] > 0, 10], 0.5),
        int(rows[:, 11].sum()),
        _quantile(rows[~failed & cached, 2], 0.5),
    )


def count_unscored_cells(view: RunView) -> dict[str, dict[str, int]]:
    """By variant and metric, the cells that have an answer but no score of the metric."""
    names, metrics = view.variants, [metric.name for metric in view.metrics]
    found: dict[str, dict[str, int]] = {}
    for variant, metric, cells in count_unscored(view.store, view.run.key):
        found.setdefault(names[variant], {})[metrics[metric]] = cells
    return found


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _quantile(values: NDArray[np.float64], share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else 0.0


def estimate(table: MetricTable, metric: Metric, level: float = LEVEL) -> list[Estimate]:
    """The mean score of each variant, with its interval."""
    found = []
    for column, cells in zip(columns(table), table.counts.sum(axis=0), strict=True):
        if metric.binary:
            bounds = Bounds(rate_interval(column, int(cells), level))
        else:
            bounds = mean_interval(column, not metric.free, level)
        found.append(Estimate(_mean_or_nan(column), *bounds.interval, len(column), bounds.unknown))
    return found


def columns(table: MetricTable) -> Iterator[NDArray[np.float64]]:
    """Each variant's case means, without the cases it lacks."""
    for at in range(table.means.shape[1]):
        yield table.means[~np.isnan(table.means[:, at]), at]


def _mean_or_nan(column: NDArray[np.float64]) -> float:
    return float(column.mean()) if len(column) else math.nan


def compare_columns(table: MetricTable, metric: Metric, pairs: Sequence[tuple[int, int]]) -> list[PairedComparison]:
    """The columns of a table by pairs, the second against the first, on the cases that both have."""
    return list(compare_pairs(table.means, pairs, metric.binary, metric.lower_is_better, not metric.free))
