"""The scores of a run by the values of a column, such as a language: whether a result holds for every kind of case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from workbench.analysis.measurements import MetricTable, estimate
from workbench.analysis.pair_summary import to_pair, withhold
from workbench.analysis.summary import Estimate, PairSummary, Slice, SliceTable
from workbench.datasets.spec import Dataset
from workbench.datasets.synthetic_rows import ORIGIN, may_hold_synthetic
from workbench.runs.matrix_rows import Metric
from workbench.runs.view import RunView
from workbench.statistics.paired import compare_pairs

MOST_SLICES = 12
"""values of a column, the commonest; the cases of others are counted"""
_LONGEST = 60  # characters of a value that is shown
_NOT_SYNTHETIC = "not synthetic"
"""how the cases without a mark of their origin are called beside synthetic ones"""


class SliceContext(NamedTuple):
    """What is known of the whole run. tables: by metric. best: the variant that the others are compared with, by the
    first metric; "" for none. doubts: as for `withhold`."""

    tables: Mapping[str, MetricTable]
    metrics: Sequence[Metric]
    names: Sequence[str]
    indexes: Sequence[int]
    best: str
    doubts: Mapping[str, str]


def choose_slices(dataset: Dataset | None, columns: Sequence[str]) -> list[str]:
    """The columns to slice by: those that are wanted, and the origin where synthetic rows may be among the cases."""
    marked = dataset is not None and may_hold_synthetic(dataset.synthetic, dataset.split)
    return list(dict.fromkeys((*columns, *([ORIGIN] if marked else []))))


def compute_slices(view: RunView, wanted: Sequence[str], context: SliceContext) -> tuple[SliceTable, ...]:
    """A table for each column; one without slices for a column that no case has."""
    if not wanted:
        return ()
    values: dict[str, dict[int, str]] = {column: {} for column in wanted}
    for case in view.cases():
        for column in wanted:
            if column in case.variables:
                values[column][case.number] = case.variables[column]
    marks = values.get(ORIGIN)
    if marks:
        marks.update({case.number: _NOT_SYNTHETIC for case in view.cases() if case.number not in marks})
    total = view.run.cases
    return tuple(_slice(column, held, total, context) for column, held in values.items())


def _slice(column: str, values: Mapping[int, str], total: int, context: SliceContext) -> SliceTable:
    counts = Counter(values.values())
    shown = [value for value, _ in counts.most_common(MOST_SLICES)]
    numbers = {value: {number for number, held in values.items() if held == value} for value in shown}
    pairs = _compare(numbers, context)
    slices = tuple(
        Slice(_shorten(value), counts[value], _estimate(numbers[value], context), pairs.get(value, ()))
        for value in shown
    )
    return SliceTable(column, slices, sum(counts.values()) - sum(one.cases for one in slices), total - len(values))


def _estimate(numbers: set[int], context: SliceContext) -> dict[str, dict[str, Estimate]]:
    found: dict[str, dict[str, Estimate]] = {}
    for metric in context.metrics:
        table = context.tables[metric.name]
        chosen = np.isin(table.cases, list(numbers))
        own = MetricTable(table.cases[chosen], table.means[chosen], table.counts[chosen])
        for index, one in enumerate(estimate(own, metric)):
            if index in context.indexes and one.n:
                found.setdefault(context.names[index], {})[metric.name] = one
    return found


def _compare(numbers: Mapping[str, set[int]], context: SliceContext) -> dict[str, tuple[PairSummary, ...]]:
    """Every variant against the best of the whole run, within each slice; Holm's correction is over all of them."""
    others = [index for index in context.indexes if context.names[index] != context.best]
    if not context.best or not others or not context.metrics:
        return {}
    metric = context.metrics[0]
    table, best = context.tables[metric.name], context.names.index(context.best)
    width = len(others) + 1
    values = np.full((len(table.cases), width * len(numbers)), np.nan)
    for at, held in enumerate(numbers.values()):
        chosen = np.isin(table.cases, list(held))
        values[chosen, at * width : (at + 1) * width] = table.means[chosen][:, [best, *others]]
    asked = [(at * width, at * width + 1 + position) for at in range(len(numbers)) for position in range(len(others))]
    compared = compare_pairs(values, asked, metric.binary, metric.lower_is_better, not metric.free)
    names = [context.names[index] for _ in numbers for index in (best, *others)]
    pairs = [withhold(to_pair(one, metric.name, names, len(asked)), context.doubts) for one in compared if one.n]
    found: dict[str, tuple[PairSummary, ...]] = {}
    indices = [one.a // width for one in compared if one.n]
    for at, value in enumerate(numbers):
        found[value] = tuple(pair for position, pair in zip(indices, pairs, strict=True) if position == at)
    return found


def _shorten(value: str) -> str:
    text = " ".join(value.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
