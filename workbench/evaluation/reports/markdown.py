"""Markdown: a summary to paste into a pull request or a notebook.

Knows nothing of cells. Names and labels are escaped: they are text, never markup.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from workbench.evaluation.reports.tables import list_remarks
from workbench.evaluation.summary import Confusion, PairSummary, Summary, VariantSummary
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
    tell,
)
from workbench.sanitize import sanitize

_ACTIVE = re.compile(r"([\\`*_{}\[\]<>#|~])")


def render_markdown(summary: Summary) -> str:
    parts = [
        f"# {escape(summary.bench or 'Comparison')}",
        escape(tell(summary)),
        _lay_table(*_list_variants(summary)),
        *_list_whole(summary),
        *(part for metric in summary.metrics for part in _list_pairs(summary, metric)),
        *_list_spreads(summary),
        *(part for one in summary.confusion for part in _list_confusion(one)),
        *_list_notes(summary),
        f"Run `{summary.run}`. Intervals are 95%, each for itself; differences are paired by case; p is after Holm's"
        " correction over the pairs of a metric.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    return _ACTIVE.sub(r"\\\1", sanitize(" ".join(text.split())))


def _list_variants(summary: Summary) -> tuple[list[str], list[list[str]]]:
    names = [metric.name for metric in summary.metrics]
    head = ["variant", *(escape(name_metric(name)) for name in names), "cells", "tokens in → out", "median", "p95"]
    priced = any(one.cost_per_thousand for one in summary.variants)
    return [*head, *(["cost per 1,000"] if priced else [])], [
        [
            f"**{escape(one.name)}**" if one.name == summary.best else escape(one.name),
            *(_show_score(one, metric) for metric in summary.metrics),
            ", ".join([f"{one.n:,}", *([f"{one.failed:,} failed"] if one.failed else []), *list_remarks(one)]),
            f"{one.tokens_in:.0f} → {one.tokens_out:.0f}",
            format_seconds(one.latency_p50) if one.latency_p50 else "–",
            format_seconds(one.latency_p95) if one.latency_p95 else "–",
            *([f"{one.cost_per_thousand:.4g}"] if priced else []),
        ]
        for one in summary.variants
    ]


def _show_score(one: VariantSummary, metric: Metric) -> str:
    found = one.scores.get(metric.name)
    if found is None:
        return "–"
    digits = count_digits(metric, found.n, found.value)
    remarks = ", ".join(filter(None, [format_interval(found, digits), format_base(found, one, metric)]))
    return f"{format_value(found.value, metric, found.n)}" + (f" ({remarks})" if remarks else "")


def _list_whole(summary: Summary) -> Iterator[str]:
    """Values of the whole dataset; those of single classes stand in the confusion matrix's neighbourhood elsewhere."""
    keys = list(dict.fromkeys(key for one in summary.variants for key in one.dataset_scores if "[" not in key))
    if not keys:
        return
    rows = [[escape(one.name), *(_show_whole(one, key) for key in keys)] for one in summary.variants]
    yield _lay_table(["whole dataset", *map(escape, keys)], rows)


def _show_whole(one: VariantSummary, key: str) -> str:
    value, found = one.dataset_scores.get(key), one.dataset_intervals.get(key)
    if value is None:
        return "–"
    interval = format_interval(found, 3) if found else ""
    return f"{value:.3f} ({interval})" if interval else f"{value:.3f}"


def _list_pairs(summary: Summary, metric: Metric) -> Iterator[str]:
    pairs = [pair for pair in summary.pairs if pair.metric == metric.name and pair.n]
    if pairs:
        yield f"## Differences: {escape(name_metric(metric.name))}"
        head = ["", "against", "difference", "95% interval", "p", "effect", "verdict", "cases to tell"]
        yield _lay_table(head, [_show_pair(pair, metric) for pair in pairs])


def _show_pair(pair: PairSummary, metric: Metric) -> list[str]:
    digits = count_digits(metric, pair.n, pair.difference)
    return [
        escape(pair.b),
        escape(pair.a),
        f"{pair.difference:+.{digits}f}",
        (pair.unknown or "–") if math.isnan(pair.low) else f"{pair.low:+.{digits}f} to {pair.high:+.{digits}f}",
        format_p(pair.p_adjusted).removeprefix("p ").removeprefix("= "),
        "–" if math.isnan(pair.effect.value) else f"{pair.effect.name} {pair.effect.value:+.2f}",
        pair.verdict + (f" ({escape(told)})" if (told := explain_verdict(pair)) else ""),
        format_needed(pair),
    ]


def _list_spreads(summary: Summary) -> Iterator[str]:
    """How far each score hangs on the wording of the prompt."""
    if not summary.spreads:
        return
    yield "## The same prompts, worded a little differently"
    rows = [
        [
            escape(one.variant),
            escape(name_metric(one.metric)),
            *(f"{value:.3f}" for value in (one.written, one.mean, one.low, one.high, one.deviation)),
            str(one.wordings),
            escape(one.worst),
        ]
        for one in summary.spreads
    ]
    head = ["variant", "score", "as written", "mean", "lowest", "highest", "deviation", "wordings", "worst"]
    yield _lay_table(head, rows)


def _list_confusion(one: Confusion) -> Iterator[str]:
    yield f"## What {escape(one.variant)} answered"
    rows = [[escape(label), *map(str, counts)] for label, counts in zip(one.labels, one.counts, strict=True)]
    yield _lay_table(["expected", *map(escape, one.labels), "other"], rows)


def _list_notes(summary: Summary) -> Iterator[str]:
    if summary.notes:
        yield "## To bear in mind"
        yield "\n".join(f"- {escape(note)}" for note in summary.notes)


def _lay_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
