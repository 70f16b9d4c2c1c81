"""Comparison against a baseline: a later run against an earlier one on the cases they share, and a bench over its runs.

Cases are matched by what they hold, not by their number, so that a dataset may have grown or changed its order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from workbench.analysis.measurements import MOST_CUT, MetricTable, estimate, read_costs, read_table
from workbench.analysis.summary import Estimate, PairOutcome
from workbench.errors import StoreError, WorkbenchError
from workbench.inference.remote.card import compare_cards
from workbench.runs.matrix_rows import Metric
from workbench.runs.view import RunView
from workbench.statistics.paired import PairedComparison, compare_pairs
from workbench.store.runs import Run, list_runs
from workbench.store.store import Store

_MAX_RUNS = 30  # runs; older ones say little, and each has to be read


class CaseChange(msgspec.Struct, frozen=True):
    """One case whose value moved. case: its number in the later run, was: in the earlier one.

    before, after: means over so many answers to the case.
    """

    case: int
    was: int
    before: float
    after: float
    answers_before: int = 1
    answers_after: int = 1


class VariantComparison(msgspec.Struct, frozen=True):
    """One variant in both runs, by one metric, on the n cases that have a value in both.

    fixed, broken: cases whose value became better and worse; for a metric of right and wrong, exactly that, unless
    `repeated`: then a case was answered several times, and what moved is its rate or mean, of which much is chance.
    difference: after minus before, with a 95% interval, or why there is none (unknown); verdict: on the later run,
    after Holm's correction over the variants. withheld: why there is none, such as answers that were cut off.
    """

    name: str
    metric: str
    n: int
    before: float
    after: float
    difference: float
    low: float
    high: float
    p: float
    p_adjusted: float
    test: str
    verdict: PairOutcome
    fixed: tuple[CaseChange, ...] = ()
    broken: tuple[CaseChange, ...] = ()
    unchanged: int = 0
    needed_cases: int | None = None
    repeated: bool = False
    unknown: str = ""
    withheld: str = ""


class RunComparison(msgspec.Struct, frozen=True):
    """a: the earlier run, b: the later one. cases: those that both have.

    only_a, only_b: cases, and variants, that only one of them has. model_changes: what a model's server does otherwise
    in the later run, a sentence each: the scores are then those of two models.
    """

    a: str
    b: str
    metric: Metric
    variants: tuple[VariantComparison, ...]
    cases: int
    cases_only_a: int = 0
    cases_only_b: int = 0
    variants_only_a: tuple[str, ...] = ()
    variants_only_b: tuple[str, ...] = ()
    model_changes: tuple[str, ...] = ()


def compare_runs(before: RunView, after: RunView, metric: str = "") -> RunComparison:
    """The later run against the earlier one, by one metric, the first they share unless named.

    Raises StoreError when they share no metric or no variant.
    """
    chosen = _choose_metric(before, after, metric)
    names = [name for name in after.variants if name in before.variants]
    if not names:
        raise StoreError(
            f"Runs {before.id} and {after.id} have no variant in common.",
            f"The first has {', '.join(before.variants)}; the second {', '.join(after.variants)}.",
        )
    matches = _match(before, after)
    sides = [
        _align(read_table(view, chosen.name), matches[:, at], [view.variants.index(name) for name in names])
        for at, view in enumerate((before, after))
    ]
    columns = np.concatenate([means for means, _ in sides], axis=1)
    counts = np.concatenate([cells for _, cells in sides], axis=1)
    pairs = [(at, at + len(names)) for at in range(len(names))]
    contrasts = compare_pairs(columns, pairs, chosen.binary, chosen.lower_is_better, not chosen.free)
    cases = before.run.cases, after.run.cases
    doubts = _find_doubts(before, after)
    return RunComparison(
        before.id,
        after.id,
        chosen,
        tuple(
            _withhold(
                _describe(name, chosen, one, _Moves(matches, columns[:, [one.a, one.b]], counts[:, [one.a, one.b]])),
                doubts.get(name, ""),
            )
            for name, one in zip(names, contrasts, strict=True)
        ),
        len(matches),
        cases[0] - len(matches),
        cases[1] - len(matches),
        tuple(name for name in before.variants if name not in names),
        tuple(name for name in after.variants if name not in names),
        tuple(_find_model_changes(before, after)),
    )


def _find_model_changes(before: RunView, after: RunView) -> Iterator[str]:
    earlier = before.cards
    for name, card in after.cards.items():
        if name in earlier and (changes := compare_cards(earlier[name], card)):
            yield f"The model {name} is another one than in run {before.id}: {'; '.join(changes)}."


def _find_doubts(before: RunView, after: RunView) -> dict[str, str]:
    """Why no verdict on a variant can be drawn: in one of the runs too many of its answers were cut off."""
    doubts: dict[str, str] = {}
    for view in (before, after):
        for name, costs in read_costs(view).items():
            if costs.cut > MOST_CUT * costs.n:
                doubts[name] = f"{costs.cut / costs.n:.0%} of its answers were cut off in run {view.id}"
    return doubts


def _withhold(found: VariantComparison, doubt: str) -> VariantComparison:
    return msgspec.structs.replace(found, verdict="withheld", withheld=doubt) if doubt else found


def _choose_metric(before: RunView, after: RunView, wanted: str) -> Metric:
    earlier = {metric.name for metric in before.metrics}
    shared = [metric for metric in after.metrics if metric.name in earlier]
    found = next((metric for metric in shared if wanted in ("", metric.name)), None)
    if found is None:
        named = f"the metric {wanted!r}" if wanted else "a metric"
        raise StoreError(
            f"Runs {before.id} and {after.id} do not both have {named}.",
            f"They share: {', '.join(metric.name for metric in shared) or 'none'}.",
        )
    return found


def _match(before: RunView, after: RunView) -> NDArray[np.int64]:
    """The numbers, in both runs, of cases that hold the same; the third of three equal ones goes with the third."""
    earlier = dict(identify_cases(before))
    pairs = [(earlier[name], number) for name, number in identify_cases(after) if name in earlier]
    return np.array(pairs, dtype=np.int64).reshape(len(pairs), 2)


def identify_cases(view: RunView) -> Iterator[tuple[tuple[object, ...], int]]:
    """What each case holds, as a key that is the same in every run, and its number; the second of two equal cases has a
    key of its own."""
    seen: Counter[tuple[object, ...]] = Counter()
    for case in view.cases():
        held = (*sorted(case.variables.items()), case.expected)
        seen[held] += 1
        yield (*held, seen[held]), case.number


class _Moves(NamedTuple):
    """Matched cases of one variant, earlier and later side by side: their numbers, means, and answers to each."""

    numbers: NDArray[np.int64]
    means: NDArray[np.float64]
    counts: NDArray[np.int64]

    def choose(self, chosen: NDArray[np.bool_]) -> tuple[CaseChange, ...]:
        """The cases that were chosen, as changes."""
        rows = zip(self.numbers[chosen], self.means[chosen], self.counts[chosen], strict=True)
        return tuple(
            CaseChange(int(number), int(was), float(before), float(after), int(cells[0]), int(cells[1]))
            for (was, number), (before, after), cells in rows
        )


def _align(
    table: MetricTable, numbers: NDArray[np.int64], columns: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The means of these cases, NaN where there is none, and the answers behind each."""
    aligned = np.full((len(numbers), len(columns)), np.nan)
    counts = np.zeros((len(numbers), len(columns)), dtype=np.int64)
    if len(table.cases):
        rows = np.minimum(np.searchsorted(table.cases, numbers), len(table.cases) - 1)
        known = table.cases[rows] == numbers
        aligned[known] = table.means[np.ix_(rows[known], columns)]
        counts[known] = table.counts[np.ix_(rows[known], columns)]
    return aligned, counts


def _describe(name: str, metric: Metric, one: PairedComparison, moves: _Moves) -> VariantComparison:
    values = moves.means
    both = ~np.isnan(values).any(axis=1)
    gain = (values[:, 1] - values[:, 0]) * (-1 if metric.lower_is_better else 1)
    return VariantComparison(
        name=name,
        metric=metric.name,
        n=one.n,
        before=_mean(values[both, 0]),
        after=_mean(values[both, 1]),
        difference=one.difference,
        low=one.interval.low,
        high=one.interval.high,
        p=one.p,
        p_adjusted=one.p_adjusted,
        test=one.test,
        verdict=one.verdict,
        fixed=moves.choose(both & (gain > 0)),
        broken=moves.choose(both & (gain < 0)),
        unchanged=int((both & (gain == 0)).sum()),
        needed_cases=one.needed_cases,
        repeated=bool((moves.counts[both] > 1).any()),
        unknown=one.unknown,
    )


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")


class BaselinePoint(msgspec.Struct, frozen=True):
    """One run. note: a person's own, and which models are others than the baseline's. values: variant -> its value.
    changes: variant -> what moved since the baseline, on shared cases."""

    run: str
    started: float
    note: str
    values: dict[str, Estimate]
    changes: dict[str, VariantComparison]


class BaselineSeries(msgspec.Struct, frozen=True):
    """points: oldest first. baseline: the pinned run, or the oldest shown."""

    bench: str
    metric: Metric
    baseline: str
    points: tuple[BaselinePoint, ...]

    @property
    def fallen(self) -> tuple[str, ...]:
        """The variants whose newest value is worse than the baseline's beyond noise."""
        newest = next((point for point in reversed(self.points) if point.run != self.baseline), None)
        return tuple(name for name, one in newest.changes.items() if one.verdict == "worse") if newest else ()


def read_series(store: Store, bench: str = "", metric: str = "", last: int = _MAX_RUNS) -> BaselineSeries:
    """The finished runs of a bench, the newest one's unless named, and how they compare with its baseline.

    Raises StoreError when there is none.
    """
    runs = [run for run in list_runs(store) if run.done]
    bench = bench or (runs[0].bench if runs else "")
    own = [run for run in runs if run.bench == bench]
    if not own:
        known = ", ".join(dict.fromkeys(run.bench for run in runs)) or "none"
        raise StoreError(f"No run of {bench or 'any bench'} is in the store.", f"There are runs of: {known}.")
    chosen = _newest_and_pinned(own, last)
    baseline = RunView(store, next((run for run in chosen if run.pinned), chosen[0]).id)
    kind = baseline.metric(metric)
    points = tuple(_read_point(RunView(store, run.id), run, baseline, kind) for run in chosen)
    return BaselineSeries(bench, kind, baseline.id, points)


def _newest_and_pinned(runs: list[Run], last: int) -> list[Run]:
    """The newest ones and the pinned one, oldest first."""
    newest = runs[:last]
    pinned = next((run for run in runs if run.pinned), None)
    return sorted({run.id: run for run in (*newest, *([pinned] if pinned else []))}.values(), key=lambda run: run.id)


def _read_point(view: RunView, run: Run, baseline: RunView, metric: Metric) -> BaselinePoint:
    if metric.name not in [one.name for one in view.metrics]:
        return BaselinePoint(run.id, run.started, run.note, {}, {})
    table = read_table(view, metric.name)
    found = {name: one for name, one in zip(view.variants, estimate(table, metric), strict=True) if one.n}
    try:
        compared = compare_runs(baseline, view, metric.name) if run.id != baseline.id else None
    except WorkbenchError:
        compared = None  # nothing in common with the baseline: it stands in the series by itself
    changes = {one.name: one for one in compared.variants} if compared else {}
    note = " ".join((run.note, *compared.model_changes)).strip() if compared else run.note
    return BaselinePoint(run.id, run.started, note, found, changes)
