"""Changes: two runs of the same cases held against each other: what was fixed, what broke, and whether it matters.

Knows nothing of why they differ. Cases are matched by what they hold, not by their number, so that a dataset may have
grown or been put into another order in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from workbench.errors import StoreError
from workbench.evaluation.measurements import Table, read_costs, read_table
from workbench.evaluation.statistics.paired import Contrast, contrast
from workbench.evaluation.summarizing import MOST_CUT
from workbench.evaluation.summary import PairOutcome
from workbench.evaluation.view import Metric, RunView


class Change(msgspec.Struct, frozen=True):
    """One case whose value moved. case: its number in the later run, was: in the earlier one.

    before, after: means over so many answers to the case.
    """

    case: int
    was: int
    before: float
    after: float
    answers_before: int = 1
    answers_after: int = 1


class VariantChanges(msgspec.Struct, frozen=True):
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
    fixed: tuple[Change, ...] = ()
    broken: tuple[Change, ...] = ()
    unchanged: int = 0
    needed_cases: int | None = None
    repeated: bool = False
    unknown: str = ""
    withheld: str = ""


class RunComparison(msgspec.Struct, frozen=True):
    """a: the earlier run, b: the later one. cases: those that both have.

    only_a, only_b: cases, and variants, that only one of them has.
    """

    a: str
    b: str
    metric: Metric
    variants: tuple[VariantChanges, ...]
    cases: int
    cases_only_a: int = 0
    cases_only_b: int = 0
    variants_only_a: tuple[str, ...] = ()
    variants_only_b: tuple[str, ...] = ()


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
    contrasts = contrast(columns, pairs, chosen.binary, chosen.lower_is_better, not chosen.free)
    cases = before.run.cases, after.run.cases
    doubts = _doubt(before, after)
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
    )


def _doubt(before: RunView, after: RunView) -> dict[str, str]:
    """Why no verdict on a variant can be drawn: in one of the runs too many of its answers were cut off."""
    doubts: dict[str, str] = {}
    for view in (before, after):
        for name, costs in read_costs(view).items():
            if costs.cut > MOST_CUT * costs.n:
                doubts[name] = f"{costs.cut / costs.n:.0%} of its answers were cut off in run {view.id}"
    return doubts


def _withhold(found: VariantChanges, doubt: str) -> VariantChanges:
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
    earlier = dict(_name_cases(before))
    pairs = [(earlier[name], number) for name, number in _name_cases(after) if name in earlier]
    return np.array(pairs, dtype=np.int64).reshape(len(pairs), 2)


def _name_cases(view: RunView) -> Iterator[tuple[tuple[object, ...], int]]:
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

    def choose(self, chosen: NDArray[np.bool_]) -> tuple[Change, ...]:
        """The cases that were chosen, as changes."""
        rows = zip(self.numbers[chosen], self.means[chosen], self.counts[chosen], strict=True)
        return tuple(
            Change(int(number), int(was), float(before), float(after), int(cells[0]), int(cells[1]))
            for (was, number), (before, after), cells in rows
        )


def _align(
    table: Table, numbers: NDArray[np.int64], columns: Sequence[int]
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


def _describe(name: str, metric: Metric, one: Contrast, moves: _Moves) -> VariantChanges:
    values = moves.means
    both = ~np.isnan(values).any(axis=1)
    gain = (values[:, 1] - values[:, 0]) * (-1 if metric.lower_is_better else 1)
    return VariantChanges(
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


def tell_changes(comparison: RunComparison) -> str:
    """What came of it, in a sentence for each variant."""
    return " ".join(_tell(one, comparison) for one in comparison.variants)


_WORDS: Mapping[PairOutcome, str] = {
    "better": "has become better",
    "worse": "has become worse",
    "not distinguishable": "shows no change beyond chance",
    "withheld": "has no verdict",
}


def _tell(one: VariantChanges, comparison: RunComparison) -> str:
    from workbench.evaluation.words import count_digits, format_p, format_value, name_metric

    if not one.n:
        return f"{one.name} has no case with a value in both runs."
    metric, digits = comparison.metric, count_digits(comparison.metric, one.n, one.difference)
    values = f"{format_value(one.before, metric, one.n)} to {format_value(one.after, metric, one.n)}"
    known = f"95% interval {one.low:+.{digits}f} to {one.high:+.{digits}f}, "
    if np.isnan(one.low):
        known = f"no interval: {one.unknown}, " if one.unknown else ""
    moved = f"{len(one.fixed):,} fixed and {len(one.broken):,} broken"
    if one.repeated:
        moved = f"over several answers to each case {len(one.fixed):,} rates rose and {len(one.broken):,} fell"
        if not metric.binary:
            moved = f"over several answers to each case {len(one.fixed):,} got better and {len(one.broken):,} worse"
    doubt = f" ({one.withheld})" if one.withheld else ""
    return (
        f"{one.name} {_WORDS[one.verdict]}{doubt}: {name_metric(metric.name)} went from {values} on {one.n:,} cases"
        f" ({known}{format_p(one.p_adjusted)}), {moved}."
    )
