"""Tables: a summary's numbers as the rows of the page.

Knows nothing of HTML: cells are texts with a tone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from workbench.evaluation.summary import Confusion, PairOutcome, PairSummary, Summary, VariantSummary
from workbench.evaluation.view import Metric
from workbench.evaluation.words import (
    count_digits,
    explain_verdict,
    format_base,
    format_interval,
    format_needed,
    format_p,
    format_seconds,
    format_value,
    name_metric,
)


class TableCell(NamedTuple):
    """tone: a class of the page's style. small: a second text, said more quietly."""

    text: str
    small: str = ""
    tone: str = ""


class TableRow(NamedTuple):
    cells: list[TableCell]
    best: bool = False


class Table(NamedTuple):
    head: list[str]
    rows: list[TableRow]


class PairTable(NamedTuple):
    title: str
    table: Table


class Count(NamedTuple):
    """share: of its row, 0 to 1."""

    number: int
    share: float
    right: bool


class ConfusionRow(NamedTuple):
    label: str
    counts: list[Count]


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


def list_variants(summary: Summary) -> Table:
    """A row a variant: its scores, what it takes, what it costs."""
    whole = list(dict.fromkeys(key for one in summary.variants for key in one.dataset_scores if "[" not in key))
    priced = any(one.cost_per_thousand for one in summary.variants)
    head = ["variant", *(name_metric(metric.name) for metric in summary.metrics), *whole]
    head += ["cells", "tokens in → out", "median", "p95", "tokens/s", *(["cost per 1,000"] if priced else [])]
    return Table(head, [_list_variant(one, summary, whole, priced) for one in summary.variants])


def _list_variant(one: VariantSummary, summary: Summary, whole: list[str], priced: bool) -> TableRow:
    remarks = [f"{one.failed:,} failed"] if one.failed else []
    remarks += list_remarks(one)
    times = [format_seconds(value) if value else "–" for value in (one.latency_p50, one.latency_p95)]
    cells = [
        TableCell(one.name, tone="left"),
        *(_show_score(one, metric) for metric in summary.metrics),
        *(_show_whole(one, key) for key in whole),
        TableCell(f"{one.n:,}", ", ".join(remarks), "worse" if one.failed else ""),
        TableCell(f"{one.tokens_in:.0f} → {one.tokens_out:.0f}"),
        *map(TableCell, times),
        TableCell(f"{one.tokens_per_second:.0f}" if one.tokens_per_second else "–"),
        *([TableCell(f"{one.cost_per_thousand:.4g}")] if priced else []),
    ]
    return TableRow(cells, one.name == summary.best)


def list_remarks(one: VariantSummary) -> list[str]:
    """What a reader has to know of a variant's cells, beside how many failed."""
    inside = f" ({one.cut_in_reasoning:,} in the reasoning)" if one.cut_in_reasoning else ""
    remarks = [f"{one.cut:,} cut off{inside}"] if one.cut else []
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
    head = ["", "against", "difference", "p", "effect", "verdict", "cases"]
    return PairTable(name_metric(metric.name), Table(head, [_list_pair(pair, metric) for pair in pairs]))


def _list_pair(pair: PairSummary, metric: Metric) -> TableRow:
    digits = count_digits(metric, pair.n, pair.difference)
    interval = pair.unknown if math.isnan(pair.low) else f"{pair.low:+.{digits}f} to {pair.high:+.{digits}f}"
    needed = format_needed(pair)
    return TableRow(
        [
            TableCell(pair.b, tone="left"),
            TableCell(pair.a, tone="left"),
            TableCell(f"{pair.difference:+.{digits}f}", interval),
            TableCell(format_p(pair.p_adjusted).removeprefix("p ").removeprefix("= ")),
            TableCell("–" if math.isnan(pair.effect.value) else f"{pair.effect.value:+.2f}", pair.effect.name),
            TableCell(_SIGNS[pair.verdict] + pair.verdict, explain_verdict(pair), _TONES[pair.verdict] + " left"),
            TableCell(f"{pair.n:,}", f"about {needed} would tell" if needed else ""),
        ]
    )


def list_spreads(summary: Summary) -> Table | None:
    """How far each score hangs on the wording of its prompt; None for a run that did not ask."""
    if not summary.spreads:
        return None
    head = ["variant", "score", "as written", "over all wordings", "deviation", "wordings", "worst"]
    rows = []
    for one in summary.spreads:
        written, mean, low, high, deviation = (
            "–" if math.isnan(value) else f"{value:.3f}"
            for value in (one.written, one.mean, one.low, one.high, one.deviation)
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
        rows.append(TableRow(cells))
    return Table(head, rows)


def list_confusion(one: Confusion) -> ConfusionTable:
    rows = []
    for at, (label, counts) in enumerate(zip(one.labels, one.counts, strict=True)):
        total = sum(counts) or 1
        own = [Count(count, round(count / total, 3), at == place) for place, count in enumerate(counts)]
        rows.append(ConfusionRow(label, own))
    return ConfusionTable(one.variant, one.labels, rows)
