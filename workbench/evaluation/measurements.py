"""Measurements: a run's numbers as arrays, cases down and variants across.

Knows nothing of what they mean (summarizing.py), and reads no texts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.view import RunView
from workbench.store.figures import count_unscored, read_figures, read_sums


class Table(NamedTuple):
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


def read_table(view: RunView, metric: str) -> Table:
    """A run's values of one metric, cases in order."""
    place = [one.name for one in view.metrics].index(metric)
    rows = read_sums(view.store, view.run.key, place)
    return tabulate(np.array(rows, dtype=np.float64).reshape(len(rows), 4), len(view.variants))


def tabulate(rows: NDArray[np.float64], variants: int) -> Table:
    """rows: case, place of the variant, sum of the repeats' values, number of repeats.

    A value without bounds, such as the perplexity of what a model holds for impossible, has no mean: it is missing.
    """
    rows = rows[np.isfinite(rows[:, 2])]
    cases, at = np.unique(rows[:, 0].astype(np.int64), return_inverse=True)
    places = rows[:, 1].astype(np.int64)
    means = np.full((len(cases), variants), np.nan)
    counts = np.zeros((len(cases), variants), dtype=np.int64)
    means[at, places] = rows[:, 2] / rows[:, 3]
    counts[at, places] = rows[:, 3]
    return Table(cases, means, counts)


def read_costs(view: RunView) -> dict[str, Costs]:
    """What each variant's cells took."""
    rows = read_figures(view.store, view.run.key)
    figures = np.array(rows, dtype=np.float64).reshape(len(rows), 10)
    return {name: _add_up(figures[figures[:, 0] == place, 1:]) for place, name in enumerate(view.variants)}


def _add_up(rows: NDArray[np.float64]) -> Costs:
    """A cached cell's times are of another day, and a failed one's of no answer: neither counts as speed."""
    failed, cached = rows[:, 0] > 0, rows[:, 1] > 0
    answered = rows[~failed]
    fresh = rows[~failed & ~cached]
    speeds = fresh[fresh[:, 5] > 0, 5]
    return Costs(
        len(rows),
        int(failed.sum()),
        int(cached.sum()),
        _quantile(fresh[:, 2], 0.5),
        _quantile(fresh[:, 2], 0.95),
        _mean(answered[:, 3]),
        _mean(answered[:, 4]),
        _mean(speeds),
        _mean(answered[:, 6]) * 1000,
        int(rows[:, 7].sum()),
        int(rows[:, 8].sum()),
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
