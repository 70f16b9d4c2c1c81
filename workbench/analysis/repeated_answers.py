"""What several answers to a case are worth together: pass@k, the majority's answer, and the best of n."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.analysis.narrative import name_metric
from workbench.analysis.summary import Estimate, RepeatSummary
from workbench.runs.matrix_rows import Metric
from workbench.runs.view import RunView
from workbench.statistics.interval import Bounds, mean_interval, rate_interval
from workbench.store.cell_figures import has_repeats, tally_case_answers

_Values = dict[str, dict[int, list[float]]]


def compute_repeats(view: RunView, indexes: Sequence[int]) -> tuple[RepeatSummary, ...]:
    """For each variant, by its index, and metric of a run in which cases were answered several times."""
    if not has_repeats(view.store, view.run.key):
        return ()
    return tuple(_summarize(view, indexes))


def _summarize(view: RunView, indexes: Sequence[int]) -> Iterator[RepeatSummary]:
    for position, metric in enumerate(view.metrics):
        values = _read_values(view, metric)
        majorities = _read_majorities(view, position) if metric.binary else {}
        for index in indexes:
            name = view.variants[index]
            if held := values.get(name):
                yield _describe(name, metric, held, majorities.get(index))


def _read_values(view: RunView, metric: Metric) -> _Values:
    found: _Values = {}
    for one in view.judgements(metric.name):
        if math.isfinite(one.value):
            found.setdefault(one.variant, {}).setdefault(one.case, []).append(one.value)
    return found


def _describe(
    name: str, metric: Metric, values: Mapping[int, list[float]], majority: Mapping[int, float] | None
) -> RepeatSummary:
    repeats = max(map(len, values.values()))
    whole = [held for held in values.values() if len(held) == repeats]
    worst_first = sorted if not metric.lower_is_better else _sort_falling
    best = [worst_first(held)[-1] for held in whole]
    pass_at: dict[int, Estimate] = {}
    if metric.binary:
        for count in _list_counts(repeats):
            pass_at[count] = _estimate([_pass_at(held, count) for held in whole], metric)
    complete = None
    if majority is not None:
        complete = _estimate(
            [majority[case] for case, held in values.items() if len(held) == repeats and case in majority], metric
        )
    return RepeatSummary(
        name, metric.name, repeats, pass_at, complete, _estimate(best, metric), len(values) - len(whole)
    )


def _sort_falling(values: Sequence[float]) -> list[float]:
    return sorted(values, reverse=True)


def _list_counts(repeats: int) -> list[int]:
    powers = [2**power for power in range(repeats.bit_length()) if 2**power < repeats]
    return [*powers, repeats]


def _pass_at(values: Sequence[float], count: int) -> float:
    """The chance that one of so many answers, drawn without putting back, is right: unbiased (Chen et al. 2021)."""
    wrong = sum(value < 0.5 for value in values)
    return 1 - math.comb(wrong, count) / math.comb(len(values), count)


def _read_majorities(view: RunView, metric: int) -> dict[int, dict[int, float]]:
    """By the index of the variant, for each case: 1 where the commonest answer is right, 0 where it is wrong, and the
    share of right ones among those that are equally common."""
    counts: dict[tuple[int, int], dict[str, list[int]]] = {}
    for case, one in tally_case_answers(view.store, view.run.key, metric):
        held = counts.setdefault((one.variant, case), {}).setdefault(one.extracted, [0, 0])
        held[0] += one.cells
        held[1] += one.cells * bool(one.right)
    found: dict[int, dict[int, float]] = {}
    for (variant, case), answers in counts.items():
        most = max(cells for cells, _ in answers.values())
        shares = [right / cells for cells, right in answers.values() if cells == most]
        found.setdefault(variant, {})[case] = sum(shares) / len(shares)
    return found


def _estimate(values: Sequence[float], metric: Metric) -> Estimate:
    column: NDArray[np.float64] = np.array(values, dtype=np.float64)
    if not len(column):
        return Estimate(math.nan, math.nan, math.nan, 0)
    if metric.binary and bool(np.isin(column, (0.0, 1.0)).all()):
        bounds = Bounds(rate_interval(column, len(column)))
    else:
        bounds = mean_interval(column, not metric.free)
    return Estimate(float(column.mean()), *bounds.interval, len(column), bounds.unknown)


def note_repeats(repeats: Sequence[RepeatSummary]) -> Iterator[str]:
    """Which cases are in none of these."""
    for one in repeats:
        if one.incomplete:
            cases = "case lacks" if one.incomplete == 1 else "cases lack"
            missing = f"{one.incomplete:,} {cases} answers or scores of {name_metric(one.metric)}"
            yield f"{one.variant}: {missing}; pass@k, majority and best are without them."
