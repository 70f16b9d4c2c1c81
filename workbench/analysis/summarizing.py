"""A run's cells made into a Summary."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import msgspec

from workbench.analysis.corpus_metrics import CorpusMetrics, read_corpus_metrics
from workbench.analysis.judge_check import check_judges, describe_judge, describe_preference, put_unreliable_last
from workbench.analysis.measurements import (
    MOST_CUT,
    Costs,
    MetricTable,
    columns,
    compare_columns,
    count_unscored_cells,
    estimate,
    read_costs,
    read_table,
)
from workbench.analysis.narrative import name_metric
from workbench.analysis.pair_summary import to_pair, withhold
from workbench.analysis.prompt_sensitivity import compute_sensitivities
from workbench.analysis.repeated_answers import compute_repeats, note_repeats
from workbench.analysis.retrieval_effects import (
    find_retrieval_metrics,
    make_effect,
    measure_retrieval,
    retrieves,
)
from workbench.analysis.slices import SliceContext, choose_slices, compute_slices
from workbench.analysis.step_summary import find_step_metrics, summarize_steps
from workbench.analysis.summary import Estimate, PairSummary, Summary, VariantKind, VariantSummary
from workbench.errors import StoreError
from workbench.inference.remote.card_text import summarize_card
from workbench.runs.contamination import ContaminationReport, check_contamination
from workbench.runs.matrix_rows import Metric
from workbench.runs.provenance import Provenance
from workbench.runs.serialisation import read_config
from workbench.runs.view import RunView
from workbench.store.store import Store
from workbench.units import format_plural


def summarize_stored(store_path: str, run_id: str) -> Summary:
    store = Store(Path(store_path))
    try:
        return compute_summary(RunView(store, run_id))
    finally:
        store.close()


def compute_summary(view: RunView, slices: Sequence[str] = ()) -> Summary:
    run, names, judges = view.run, view.variants, check_judges(view)
    metrics = put_unreliable_last(view.metrics, judges)
    tables = {metric.name: read_table(view, metric.name) for metric in metrics}
    costs = read_costs(view)
    whole = read_corpus_metrics(view)
    estimates = {metric.name: estimate(tables[metric.name], metric) for metric in metrics}
    perturbed = {variant.name for variant in view.bench.variants if variant.perturbation}
    indexes = [at for at, name in enumerate(names) if name not in perturbed]
    thinking_off = {variant.name for variant in view.bench.variants if variant.sampling.thinking == "off"}
    unscored, contamination = _count_unscored(view), _check_contamination(view)
    steps = summarize_steps(view)
    variants = tuple(
        msgspec.structs.replace(
            _describe(name, at, costs[name], estimates, whole, find_variant_kind(view.provenance(name))),
            unscored=unscored.get(name, {}),
            seen=len(contamination.of(name)),
            steps=steps.get(name, ()),
            thought_unasked=costs[name].thought if name in thinking_off else 0,
        )
        for at, name in enumerate(names)
        if at in indexes
    )
    doubts = {one.name: doubt for one in variants if (doubt := doubt_scores(one))}
    best = find_best(variants, metrics[0]) if metrics else ""
    repeats = compute_repeats(view, indexes)
    context = SliceContext(tables, metrics, names, indexes, best, doubts)
    return Summary(
        run=run.id,
        bench=run.bench,
        cases=max((len(table.cases) for table in tables.values()), default=0),
        metrics=metrics,
        variants=variants,
        pairs=tuple(
            withhold(pair, doubts)
            for metric in metrics
            for pair in compare_variants(tables[metric.name], metric, names, indexes)
        ),
        confusion=tuple(one for one in whole.confusion if one.variant not in perturbed),
        best=best,
        notes=(
            *_note_bench(view),
            *view.damage(),
            *view.left_out,
            *_note(variants, tables, metrics, read_config(run).concurrency or 1, _find_partial_metrics(view)),
            *whole.notes,
            *note_repeats(repeats),
            *_note_losses(view),
            *(summarize_card(name, card) for name, card in view.cards.items()),
            *contamination.sentences,
            *(describe_judge(one, leads=one.metric == view.metrics[0].name) for one in judges),
            *(describe_preference(pair) for one in judges for pair in one.corrected),
        ),
        judges=judges,
        spreads=compute_sensitivities(view.bench.variants, metrics, estimates),
        retrieval=tuple(
            make_effect(family, metric, [withhold(to_pair(one, metric, names, len(found)), doubts) for one in found])
            for family, metric, found in measure_retrieval(view.bench.variants, tables, metrics, names)
        ),
        slices=compute_slices(view, choose_slices(view.bench.dataset, (*view.bench.slices, *slices)), context),
        repeats=repeats,
    )


def _count_unscored(view: RunView) -> dict[str, dict[str, int]]:
    """By variant and metric, the answers without a score; a rating of passages is no score that a variant lacks which
    retrieves none, nor one of a step that a variant lacks which has none."""
    of_steps = find_step_metrics(view.bench)
    found = {
        variant: {name: n for name, n in own.items() if name not in of_steps}
        for variant, own in count_unscored_cells(view).items()
    }
    rating = find_retrieval_metrics(view.bench)
    for variant in view.bench.variants:
        if not retrieves(variant) and variant.name in found:
            found[variant.name] = {name: n for name, n in found[variant.name].items() if name not in rating}
    return found


def _find_partial_metrics(view: RunView) -> frozenset[str]:
    """Metrics that not every variant is meant to have."""
    return frozenset({*find_retrieval_metrics(view.bench), *find_step_metrics(view.bench)})


def doubt_scores(one: VariantSummary) -> str:
    """Why no verdict on a variant can be drawn from its scores; "" where one can."""
    if one.seen:
        cases = "a test case" if one.seen == 1 else f"{one.seen:,} test cases"
        return f"{one.name} has seen {cases}"
    if one.cut > MOST_CUT * one.n:
        return f"{one.cut / one.n:.0%} of the answers of {one.name} were cut off"
    return ""


def compare_variants(
    table: MetricTable, metric: Metric, names: Sequence[str], indexes: Sequence[int]
) -> Iterator[PairSummary]:
    """Every pair of the variants at these places, on the cases that both have."""
    pairs = list(combinations(indexes, 2))
    for one in compare_columns(table, metric, pairs):
        yield to_pair(one, metric.name, names, len(pairs))


def find_best(variants: Sequence[VariantSummary], metric: Metric) -> str:
    """The variant with the best mean, the earliest of equals; "" without scores."""
    scored = [one for one in variants if one.scores.get(metric.name) and not math.isnan(one.scores[metric.name].value)]
    sign = -1 if metric.lower_is_better else 1
    return max(scored, key=lambda one: sign * one.scores[metric.name].value).name if scored else ""


def _describe(
    name: str,
    at: int,
    costs: Costs,
    estimates: Mapping[str, Sequence[Estimate]],
    whole: CorpusMetrics,
    role: VariantKind,
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


def _check_contamination(view: RunView) -> ContaminationReport:
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
        yield f"{variant}: {note} ({format_plural(cells, 'cell')})"


def _note(
    variants: Sequence[VariantSummary],
    tables: Mapping[str, MetricTable],
    metrics: Sequence[Metric],
    concurrency: int,
    rating: Collection[str],
) -> Iterator[str]:
    """What a reader has to know before they believe the numbers. concurrency: cells that were in flight on a model.
    rating: metrics that not every variant is meant to have."""
    for one in variants:
        if one.failed:
            yield f"{one.name}: {one.failed} of {one.n} cells failed and have no score; the others may be easier ones."
        if one.cut:
            yield _note_cut(one)
        yield from _note_steps(one)
        if one.thought_unasked:
            yield f"{one.name}: {one.thought_unasked:,} of {one.n:,} answers begin with thinking, which is off."
        for name, cells in one.unscored.items():
            yield (
                f"{one.name}: {cells:,} of {one.n - one.failed:,} answers have no {name_metric(name)}; its mean is"
                " over the others. Open a cell to see why, or run: workbench eval --retry-failed"
            )
    for metric in metrics:
        counts = {len(column) for column in columns(tables[metric.name])} - ({0} if metric.name in rating else set())
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
        yield f"Cached, so counted for scores and tokens, not for latency and speed: {format_plural(cached, 'answer')}."
    if concurrency > 1 and any(one.latency_p50 for one in variants):
        yield (
            f"Latency and speed are of up to {concurrency} concurrent answers. To measure each alone:"
            " workbench eval --concurrency 1 --no-cache --limit 20"
        )


def _note_steps(one: VariantSummary) -> Iterator[str]:
    """Cut answers of steps that are not the chain's own, which its `cut` counts."""
    for step in one.steps[:-1]:
        if step.cut:
            yield f"{one.name}: {step.cut:,} of {step.calls:,} answers of its step {step.name} were cut off."


def _note_cut(one: VariantSummary) -> str:
    """How many answers are incomplete, and what to do."""
    inside = f", {one.cut_in_reasoning:,} of them before the reasoning ended" if one.cut_in_reasoning else ""
    return (
        f"{one.name}: {one.cut:,} of {one.n:,} answers were cut off{inside}. Give it a higher max_tokens and run it"
        " again (a in the matrix); answers that were complete are reused."
    )


def find_variant_kind(provenance: str) -> VariantKind:
    """What a variant is by what its answers came from; "" where that is not known."""
    if not provenance:
        return ""
    try:
        origin = Provenance.decode(provenance)
    except StoreError:
        return ""
    variant, prompt = origin.variant, origin.prompt
    shown = any(example.id not in variant.examples_off for example in prompt.examples)
    few_shot = shown and prompt.placement != "none"
    if any(choice.on and choice.scale != 0 for choice in variant.adapters):
        return "adapter, few-shot" if few_shot else "adapter"
    return "few-shot" if few_shot else "zero-shot"
