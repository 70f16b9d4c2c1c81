"""Summarizing: a run's cells made into a Summary.

Knows nothing of how a summary is shown, nor of formulas (statistics/).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.contamination import Checked, check_contamination
from workbench.evaluation.measurements import Costs, Table, count_unscored_cells, read_costs, read_table
from workbench.evaluation.provenance import Provenance
from workbench.evaluation.record import read_wish
from workbench.evaluation.roles import find_role
from workbench.evaluation.spread import compute_spreads
from workbench.evaluation.statistics.interval import LEVEL, Bounds, mean_interval, rate_interval
from workbench.evaluation.statistics.paired import Contrast, contrast
from workbench.evaluation.summary import Effect, Estimate, PairSummary, Role, Summary, VariantSummary
from workbench.evaluation.view import Metric, RunView
from workbench.evaluation.whole import Whole, read_whole
from workbench.evaluation.words import name_metric
from workbench.store.store import Store

MOST_CUT = 0.05
"""The share of a variant's answers that may be cut off before its scores allow no verdict."""


def summarize_stored(store_path: str, run_id: str) -> Summary:
    store = Store(Path(store_path))
    try:
        return compute_summary(RunView(store, run_id))
    finally:
        store.close()


def compute_summary(view: RunView) -> Summary:
    run, names, metrics = view.run, view.variants, view.metrics
    tables = {metric.name: read_table(view, metric.name) for metric in metrics}
    costs = read_costs(view)
    whole = read_whole(view)
    estimates = {metric.name: estimate(tables[metric.name], metric) for metric in metrics}
    alternates = {variant.name for variant in view.bench.variants if variant.perturbation}
    places = [at for at, name in enumerate(names) if name not in alternates]
    unscored, contamination = count_unscored_cells(view), _check_contamination(view)
    variants = tuple(
        msgspec.structs.replace(
            _describe(name, at, costs[name], estimates, whole, find_role(view.provenance(name))),
            unscored=unscored.get(name, {}),
            seen=len(contamination.of(name)),
        )
        for at, name in enumerate(names)
        if at in places
    )
    doubts = {one.name: doubt for one in variants if (doubt := doubt_scores(one))}
    return Summary(
        run=run.id,
        bench=run.bench,
        cases=max((len(table.cases) for table in tables.values()), default=0),
        metrics=metrics,
        variants=variants,
        pairs=tuple(
            withhold(pair, doubts)
            for metric in metrics
            for pair in compare_variants(tables[metric.name], metric, names, places)
        ),
        confusion=tuple(one for one in whole.confusion if one.variant not in alternates),
        best=find_best(variants, metrics[0]) if metrics else "",
        notes=(
            *_note_bench(view),
            *view.damage(),
            *view.left_out,
            *_note(variants, tables, metrics, read_wish(run).at_once or 1),
            *whole.notes,
            *_note_losses(view),
            *contamination.sentences,
        ),
        spreads=compute_spreads(view.bench.variants, metrics, estimates),
    )


def doubt_scores(one: VariantSummary) -> str:
    """Why no verdict on a variant can be drawn from its scores; "" where one can."""
    if one.seen:
        cases = "a test case" if one.seen == 1 else f"{one.seen:,} test cases"
        return f"{one.name} has seen {cases}"
    if one.cut > MOST_CUT * one.n:
        return f"{one.cut / one.n:.0%} of the answers of {one.name} were cut off"
    return ""


def withhold(pair: PairSummary, doubts: Mapping[str, str]) -> PairSummary:
    """The pair without its verdict, where there is doubt about either side. doubts: by the name of a variant."""
    reasons = [doubts[name] for name in (pair.a, pair.b) if name in doubts]
    if not reasons:
        return pair
    return msgspec.structs.replace(pair, verdict="withheld", withheld="; ".join(reasons), needed_cases=None)


def estimate(table: Table, metric: Metric, level: float = LEVEL) -> list[Estimate]:
    """The mean score of each variant, with its interval."""
    found = []
    for column, cells in zip(_columns(table), table.counts.sum(axis=0), strict=True):
        if metric.binary:
            bounds = Bounds(rate_interval(column, int(cells), level))
        else:
            bounds = mean_interval(column, not metric.free, level)
        found.append(Estimate(_mean(column), *bounds.interval, len(column), bounds.unknown))
    return found


def _columns(table: Table) -> Iterator[NDArray[np.float64]]:
    """Each variant's case means, without the cases it lacks."""
    for at in range(table.means.shape[1]):
        yield table.means[~np.isnan(table.means[:, at]), at]


def _mean(column: NDArray[np.float64]) -> float:
    return float(column.mean()) if len(column) else math.nan


def compare_variants(
    table: Table, metric: Metric, names: Sequence[str], places: Sequence[int]
) -> Iterator[PairSummary]:
    """Every pair of the variants at these places, on the cases that both have."""
    pairs = list(combinations(places, 2))
    for one in contrast(table.means, pairs, metric.binary, metric.lower_is_better, not metric.free):
        yield to_pair(one, metric.name, names, len(pairs))


def to_pair(one: Contrast, metric: str, names: Sequence[str], family: int = 1) -> PairSummary:
    """family: how many pairs Holm's correction was over."""
    needed = one.needed
    return PairSummary(
        a=names[one.a],
        b=names[one.b],
        metric=metric,
        n=one.n,
        difference=one.difference,
        low=one.interval.low,
        high=one.interval.high,
        p=one.p,
        p_adjusted=one.p_adjusted,
        effect=Effect(one.effect_name, one.effect),
        test=one.test,
        verdict=one.verdict,
        needed_cases=one.needed_cases,
        needed_least=needed.low if needed else 0,
        needed_most=needed.high if needed else None,
        a_only=one.a_only,
        b_only=one.b_only,
        unknown=one.unknown,
        family=family,
    )


def find_best(variants: Sequence[VariantSummary], metric: Metric) -> str:
    """The variant with the best mean, the earliest of equals; "" without scores."""
    scored = [one for one in variants if one.scores.get(metric.name) and not math.isnan(one.scores[metric.name].value)]
    sign = -1 if metric.lower_is_better else 1
    return max(scored, key=lambda one: sign * one.scores[metric.name].value).name if scored else ""


def _describe(
    name: str, at: int, costs: Costs, estimates: Mapping[str, Sequence[Estimate]], whole: Whole, role: Role
) -> VariantSummary:
    return VariantSummary(
        name=name,
        scores={metric: own[at] for metric, own in estimates.items() if own[at].n},
        dataset_scores=whole.scores.get(name, {}),
        dataset_intervals=whole.intervals.get(name, {}),
        problems=whole.problems.get(name, {}),
        role=role,
        **costs._asdict(),
    )


def _check_contamination(view: RunView) -> Checked:
    """Which variants have seen which of the cases."""
    texts = map(view.provenance, view.variants)
    origins = [
        Provenance.decode(text) for text in texts if text and Provenance.is_readable(text)
    ]  # `damage` names the others
    return check_contamination(origins, list(view.cases()))


def _note_bench(view: RunView) -> Iterator[str]:
    """That the run's bench cannot be read, so that what hangs on its text is missing."""
    if view.bench_problem:
        yield f"Thresholds and values of the whole dataset are missing. {view.bench_problem}"


def _note_losses(view: RunView) -> Iterator[str]:
    """Messages that did not reach a model as they were written."""
    for variant, note, cells in view.notes():
        yield f"{variant}: {note} ({cells:,} cells)"


def _note(
    variants: Sequence[VariantSummary], tables: Mapping[str, Table], metrics: Sequence[Metric], at_once: int
) -> Iterator[str]:
    """What a reader has to know before they believe the numbers. at_once: cells that were in flight on a model."""
    for one in variants:
        if one.failed:
            yield f"{one.name}: {one.failed} of {one.n} cells failed and have no score; the others may be easier ones."
        if one.cut:
            yield _note_cut(one)
        for name, cells in one.unscored.items():
            yield (
                f"{one.name}: {cells:,} of {one.n - one.failed:,} answers have no {name_metric(name)}; its mean is"
                " over the others. Open a cell to see why, or run: workbench eval --retry-failed"
            )
    for metric in metrics:
        counts = {len(column) for column in _columns(tables[metric.name])}
        if len(counts) > 1:
            yield f"{metric.name}: not every variant has every case; differences are over the cases that both have."
    for one in variants:
        yield from (f"{one.name}: {key} could not be worked out: {reason}" for key, reason in one.problems.items())
    if len(metrics) > 1 and len(variants) > 1:
        yield (
            f"The correction for several comparisons is within each metric: over all {len(metrics)}, up to"
            f" {min(100, 5 * len(metrics))} runs in 100 without any real difference show one. Decide by one metric."
        )
    if any(one.cached for one in variants):
        cached = sum(one.cached for one in variants)
        yield f"{cached} answers came from the cache; they count for scores and tokens, not for latency and speed."
    if at_once > 1 and any(one.latency_p50 for one in variants):
        yield (
            f"Latency and speed are of up to {at_once} answers side by side. To measure each alone:"
            " workbench eval --at-once 1 --no-cache --limit 20"
        )


def _note_cut(one: VariantSummary) -> str:
    """How many answers are incomplete, and what to do."""
    inside = f", {one.cut_in_reasoning:,} of them before the reasoning ended" if one.cut_in_reasoning else ""
    return (
        f"{one.name}: {one.cut:,} of {one.n:,} answers were cut off{inside}. Give it a higher max_tokens and run it"
        " again (a in the matrix); answers that were complete are reused."
    )
