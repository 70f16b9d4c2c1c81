"""A summary laid out for a terminal: scores, what stands against the best, what it takes, and the findings in words.

Knows nothing of how the numbers are worked out (evaluation/summary.py). Fits into 80 columns.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from workbench.cli.table import console, make_table, show
from workbench.evaluation.summary import Summary, VariantSummary
from workbench.evaluation.view import Metric
from workbench.evaluation.words import (
    count_digits,
    format_interval,
    format_seconds,
    format_value,
    list_findings,
    name_metric,
    rank,
    round_cases,
)

_STYLES = {"better": "green", "worse": "red", "not distinguishable": "yellow", "withheld": "yellow"}
_MOST_ACROSS = 4  # further scores that still fit side by side
_WIDEST = 100
"""columns of a paragraph: longer lines are hard to read"""


def print_summary(summary: Summary) -> None:
    """Put the summary on stdout."""
    out = console()
    for part in _lay_out(summary):
        out.print(part, width=min(out.width, _WIDEST) if isinstance(part, Padding) else None)


def _lay_out(summary: Summary) -> Iterator[Table | Padding]:
    if summary.metrics:
        yield _make_main(summary, summary.metrics[0])
    if others := _make_others(summary):
        yield others
    if summary.spreads:
        yield _make_spreads(summary)
    said = [*list_findings(summary), *(f"Note: {note}" for note in summary.notes)]
    yield Padding(Text("\n").join(map(show, said)), (0, 0, 1, 0))


def _make_main(summary: Summary, metric: Metric) -> Table:
    """The first metric, against the best variant, and what a request takes."""
    ranked = rank(summary, metric)
    best = ranked[0].name if ranked else ""
    counted = [name for name in ("failed", "cut") if any(getattr(one, name) for one in summary.variants)]
    priced = any(one.cost_per_thousand for one in summary.variants)
    numbers = ["cells", *counted, "tokens", "median", *(["cost/1000"] if priced else [])]
    name = name_metric(metric.name)
    table = make_table(["variant", name, "95%", "vs best", *numbers], right=[name, *numbers])
    for one in summary.variants:
        cells = [
            show(one.name),
            *_show_score(one, metric),
            _show_verdict(summary, one, best, metric),
            Text(f"{one.n:,}"),
        ]
        cells += [Text(f"{count:,}", style="red" if count else "") for count in (getattr(one, key) for key in counted)]
        cells += [Text(f"{one.tokens_in:.0f}→{one.tokens_out:.0f}"), Text(_show_time(one.latency_p50))]
        if priced:
            cells.append(Text(f"{one.cost_per_thousand:.4g}"))
        table.add_row(*cells, style="bold" if one.name == best else "")
    return table


def _show_score(one: VariantSummary, metric: Metric) -> tuple[Text, Text]:
    found = one.scores.get(metric.name)
    if found is None or math.isnan(found.value):
        return Text("–"), Text("")
    digits = count_digits(metric, found.n, found.value)
    interval = format_interval(found, digits)
    return Text(format_value(found.value, metric, found.n)), Text(interval, no_wrap=not math.isnan(found.low))


def _show_verdict(summary: Summary, one: VariantSummary, best: str, metric: Metric) -> Text:
    """The verdict in a word; where it is open, how many cases would tell."""
    if one.name == best:
        return Text("best", style="green")
    pair = summary.pair(best, one.name, metric.name)
    if pair is None or not pair.n:
        return Text("–")
    if pair.verdict != "not distinguishable":
        return Text(pair.verdict, style=_STYLES[pair.verdict])
    needed = f" (~{_count(round_cases(pair.needed_cases))} cases)" if pair.needed_cases else ""
    return Text(f"same?{needed}", style=_STYLES[pair.verdict])


def _count(cases: int) -> str:
    return f"{cases:,}" if cases < 10_000 else f"{cases / 1000:,.0f}k"


def _make_others(summary: Summary) -> Table | None:
    """The other metrics, and what can only be said of a whole dataset; None where there is nothing more."""
    metrics = summary.metrics[1:]
    whole = list(dict.fromkeys(key for one in summary.variants for key in one.dataset_scores if "[" not in key))
    if not metrics and not whole:
        return None
    rows: dict[str, list[Text]] = {
        name_metric(metric.name): [_show_score(one, metric)[0] for one in summary.variants] for metric in metrics
    }
    rows |= {key: [Text(_show_value(one.dataset_scores.get(key))) for one in summary.variants] for key in whole}
    names = [one.name for one in summary.variants]
    if len(rows) > max(_MOST_ACROSS, len(names)):
        table = make_table(["score", *names], right=names)
        for key, values in rows.items():
            table.add_row(show(key), *values)
        return table
    table = make_table(["variant", *rows], right=list(rows))
    for at, name in enumerate(names):
        table.add_row(show(name), *(values[at] for values in rows.values()))
    return table


def _make_spreads(summary: Summary) -> Table:
    """How far each score hangs on the wording of its prompt."""
    numbers = ["as written", "mean", "lowest", "highest", "wordings"]
    table = make_table(["reworded", "score", *numbers, "worst"], right=numbers)
    for one in summary.spreads:
        values = (one.written, one.mean, one.low, one.high)
        row = [one.variant, name_metric(one.metric), *map(_show_value, values), str(one.wordings), one.worst]
        table.add_row(*map(show, row))
    return table


def _show_value(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"


def _show_time(seconds: float) -> str:
    return format_seconds(seconds) if seconds else "–"
