"""The tables of an HTML report: texts with a tone, from a summary's numbers."""

from __future__ import annotations

import math
from typing import NamedTuple

from workbench.analysis.narrative import (
    count_digits,
    explain_verdict,
    format_base,
    format_interval,
    format_needed,
    format_value,
    name_metric,
)
from workbench.analysis.summary import (
    Confusion,
    PairOutcome,
    PairSummary,
    StepSummary,
    Summary,
    VariantSummary,
)
from workbench.runs.matrix_rows import Metric
from workbench.units import format_duration, format_money, format_number, format_p


class TableCell(NamedTuple):
    """tone: a class of the page's style. small: a second text, said more quietly."""

    text: str
    small: str = ""
    tone: str = ""


class ReportRow(NamedTuple):
    cells: list[TableCell]
    best: bool = False


class ReportTable(NamedTuple):
    head: list[str]
    rows: list[ReportRow]


class PairTable(NamedTuple):
    title: str
    table: ReportTable


class ConfusionCount(NamedTuple):
    """share: of its row, 0 to 1."""

    number: int
    share: float
    right: bool


class ConfusionRow(NamedTuple):
    label: str
    counts: list[ConfusionCount]


class ConfusionTable(NamedTuple):
    variant: str
    labels: tuple[str, ...]
    rows: list[ConfusionRow]


_TONES: dict[PairOutcome, str] = {
    "better": "better",
    "worse": "worse",
    "not distinguishable": "unsure",
    "withheld": "unsure",
}
_SIGNS: dict[PairOutcome, str] = {"better": "▲ ", "worse": "▼ ", "not distinguishable": "≈ ", "withheld": "? "}


def list_variants(summary: Summary) -> ReportTable:
    """A row a variant: its scores, what it takes, what it costs."""
    whole = list(dict.fromkeys(key for one in summary.variants for key in one.dataset_scores if "[" not in key))
    priced = any(one.cost_per_thousand for one in summary.variants)
    head = ["variant", *(name_metric(metric.name) for metric in summary.metrics), *whole]
    head += ["cells", "tokens in → out", "median", "p95", "tokens/s", *(["cost per 1,000"] if priced else [])]
    return ReportTable(head, [_list_variant(one, summary, whole, priced) for one in summary.variants])


def _list_variant(one: VariantSummary, summary: Summary, whole: list[str], priced: bool) -> ReportRow:
    remarks = [f"{one.failed:,} failed"] if one.failed else []
    remarks += list_remarks(one)
    times = [format_duration(value) if value else "–" for value in (one.latency_p50, one.latency_p95)]
    thinking = f"{one.thinking_tokens:.0f} of thinking" if one.thinking_tokens else ""
    answered = f"answer after {format_duration(one.first_answer_p50)}" if one.first_answer_p50 else ""
    cells = [
        TableCell(one.name, tone="left"),
        *(_show_score(one, metric) for metric in summary.metrics),
        *(_show_whole(one, key) for key in whole),
        TableCell(f"{one.n:,}", ", ".join(remarks), "worse" if one.failed else ""),
        TableCell(f"{one.tokens_in:.0f} → {one.tokens_out:.0f}" if one.tokens_in else "?", thinking),
        TableCell(times[0], answered),
        TableCell(times[1]),
        TableCell(f"{one.tokens_per_second:.0f}" if one.tokens_per_second else "–"),
        *([TableCell(format_money(one.cost_per_thousand))] if priced else []),
    ]
    return ReportRow(cells, one.name == summary.best)


def list_remarks(one: VariantSummary) -> list[str]:
    """What a reader has to know of a variant's cells, beside how many failed."""
    inside = f" ({one.cut_in_reasoning:,} in the reasoning)" if one.cut_in_reasoning else ""
    remarks = [f"{one.cut:,} cut off{inside}"] if one.cut else []
    remarks += [f"{one.thought_unasked:,} with thinking, which is off"] if one.thought_unasked else []
    remarks += [f"{one.seen:,} seen before"] if one.seen else []
    remarks += [f"{one.cached:,} from the cache"] if one.cached else []
    return remarks


def _show_score(one: VariantSummary, metric: Metric) -> TableCell:
    found = one.scores.get(metric.name)
    if found is None:
        return TableCell("–")
    digits = count_digits(metric, found.n, found.value)
    remarks = [format_interval(found, digits), format_base(found, one, metric)]
    return TableCell(format_value(found.value, metric, found.n), ", ".join(filter(None, remarks)))


def _show_whole(one: VariantSummary, key: str) -> TableCell:
    value, found = one.dataset_scores.get(key), one.dataset_intervals.get(key)
    if value is None:
        return TableCell("–")
    return TableCell(f"{value:.3f}", format_interval(found, 3) if found else "")


def list_pairs(summary: Summary, metric: Metric) -> PairTable | None:
    """Every pair of variants by one metric; None where there is none."""
    pairs = [pair for pair in summary.pairs if pair.metric == metric.name and pair.n]
    if not pairs:
        return None
    head = ["", "against", "difference, 95%", "p", "effect", "verdict", "cases"]
    return PairTable(name_metric(metric.name), ReportTable(head, [_list_pair(pair, metric) for pair in pairs]))


def _list_pair(pair: PairSummary, metric: Metric) -> ReportRow:
    digits = count_digits(metric, pair.n, pair.difference)
    interval = pair.unknown if math.isnan(pair.low) else f"{pair.low:+.{digits}f} to {pair.high:+.{digits}f}"
    needed = format_needed(pair)
    return ReportRow(
        [
            TableCell(pair.b, tone="left"),
            TableCell(pair.a, tone="left"),
            TableCell(format_number(pair.difference, digits, signed=True), interval),
            TableCell(format_p(pair.p_adjusted).removeprefix("p ").removeprefix("= ")),
            TableCell(format_number(pair.effect.value, 2, signed=True), pair.effect.name),
            TableCell(_SIGNS[pair.verdict] + pair.verdict, explain_verdict(pair), _TONES[pair.verdict] + " left"),
            TableCell(f"{pair.n:,}", f"about {needed} would tell" if needed else ""),
        ]
    )


def list_sensitivities(summary: Summary) -> ReportTable | None:
    """How far each score hangs on the wording of its prompt; None for a run that did not ask."""
    if not summary.spreads:
        return None
    head = ["variant", "score", "as written", "over all variations", "deviation", "variations", "worst"]
    rows = []
    for one in summary.spreads:
        written, mean, low, high, deviation = (
            format_number(value) for value in (one.written, one.mean, one.low, one.high, one.deviation)
        )
        cells = [
            TableCell(one.variant, tone="left"),
            TableCell(name_metric(one.metric)),
            TableCell(written),
            TableCell(mean, f"{low} – {high}"),
            TableCell(deviation),
            TableCell(str(one.wordings)),
            TableCell(one.worst, tone="left"),
        ]
        rows.append(ReportRow(cells))
    return ReportTable(head, rows)


def list_step_summaries(summary: Summary) -> ReportTable | None:
    """What each step of each chain takes; None where no variant is one."""
    chains = [one for one in summary.variants if one.steps]
    if not chains:
        return None
    priced = any(step.cost_per_thousand for one in chains for step in one.steps)
    head = ["variant", "step", "cells", "calls", "tokens in → out", "median"]
    rows = []
    for one in chains:
        for at, step in enumerate(one.steps):
            tone = "worse" if step.failed or step.not_run else ""
            cells = [
                TableCell(one.name if at == 0 else "", tone="left"),
                TableCell(step.name, tone="left"),
                TableCell(f"{step.cells:,}", describe_step_states(step), tone),
                TableCell(f"{step.calls:,}", f"{step.cached:,} from the cache" if step.cached else ""),
                TableCell(f"{step.tokens_in:.0f} → {step.tokens_out:.0f}" if step.tokens_in else "–"),
                TableCell(format_duration(step.latency_p50) if step.latency_p50 else "–"),
                *([TableCell(format_money(step.cost_per_thousand))] if priced else []),
            ]
            rows.append(ReportRow(cells))
    return ReportTable([*head, *(["cost per 1,000"] if priced else [])], rows)


def describe_step_states(step: StepSummary) -> str:
    """Of a step's cells, those without an answer and those that took several attempts, and of the tool calls before it,
    those that functions answered and those that nothing did; "" where there are none."""
    failed = ((step.failed, "failed"), (step.not_run, "not run"), (step.skipped, "skipped"))
    calls = ((step.live, "answered by Python"), (step.unanswered, "unanswered"))
    counts = (*failed, (step.again, "tried again"), (step.cut, "cut off"), *calls)
    return ", ".join(f"{count:,} {word}" for count, word in counts if count)


def list_retrieval(summary: Summary) -> ReportTable | None:
    """What each search gains over none and loses to the oracle; None where no variant has either."""
    if not summary.retrieval:
        return None
    metrics = {metric.name: metric for metric in summary.metrics}
    head = ["variant", "score", "gain by retrieval, 95%", "over", "loss, 95%", "to"]
    rows = []
    for one in summary.retrieval:
        metric = metrics[one.metric]
        cells = [TableCell(one.variant, tone="left"), TableCell(name_metric(one.metric))]
        for pair, other in ((one.gain, one.none), (one.loss, one.oracle)):
            cells += [_show_gain(pair, metric), TableCell(other if pair else "–", tone="left")]
        rows.append(ReportRow(cells))
    return ReportTable(head, rows)


def _show_gain(pair: PairSummary | None, metric: Metric) -> TableCell:
    if pair is None:
        return TableCell("–")
    digits = count_digits(metric, pair.n, pair.difference)
    interval = pair.unknown if math.isnan(pair.low) else f"{pair.low:+.{digits}f} to {pair.high:+.{digits}f}"
    doubt = {"not distinguishable": "may be chance", "withheld": pair.withheld}.get(pair.verdict, "")
    remarks = ", ".join(filter(None, (interval, doubt)))
    return TableCell(format_number(pair.difference, digits, signed=True), remarks, _TONES[pair.verdict])


def list_confusion(one: Confusion) -> ConfusionTable:
    rows = []
    for at, (label, counts) in enumerate(zip(one.labels, one.counts, strict=True)):
        total = sum(counts) or 1
        own = [ConfusionCount(count, round(count / total, 3), at == index) for index, count in enumerate(counts)]
        rows.append(ConfusionRow(label, own))
    return ConfusionTable(one.variant, one.labels, rows)
