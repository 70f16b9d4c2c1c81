"""Measurements: a run's numbers as arrays, cases down and variants across.

Knows nothing of what they mean (summary.py). Texts are read only where something asks for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.view import Judgement, Reading


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


class Numbers(Protocol):
    """What is asked of a run; RunView has it."""

    @property
    def variants(self) -> tuple[str, ...]: ...
    def judgements(self, metric: str) -> Iterable[Judgement]: ...
    def readings(self) -> Iterable[Reading]: ...


def tabulate(judgements: Iterable[Judgement], variants: Sequence[str]) -> Table:
    """The judgements of one metric as a table, cases in order."""
    place = {name: at for at, name in enumerate(variants)}
    columns, numbers, values = [], [], []
    for one in judgements:
        columns.append(place[one.variant])
        numbers.append(one.case)
        values.append(one.value)
    cases, rows = np.unique(np.array(numbers, dtype=np.int64), return_inverse=True)
    flat = rows * len(variants) + np.array(columns, dtype=np.int64)
    shape = (len(cases), len(variants))
    counts = np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape)
    sums = np.bincount(flat, np.array(values, dtype=np.float64), shape[0] * shape[1]).reshape(shape)
    means = np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0)
    return Table(cases, means, counts)


def add_up(readings: Iterable[Reading], variants: Sequence[str]) -> Mapping[str, Costs]:
    """What each variant's cells took."""
    rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in variants}
    for one in readings:
        rows[one.variant].append(
            (
                one.failed,
                one.cached,
                one.elapsed_seconds,
                one.prompt_tokens,
                one.output_tokens,
                one.tokens_per_second,
                one.cost,
            )
        )
    return {name: _add_up(np.array(own, dtype=np.float64).reshape(len(own), 7)) for name, own in rows.items()}


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
    )


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _quantile(values: NDArray[np.float64], share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else 0.0
