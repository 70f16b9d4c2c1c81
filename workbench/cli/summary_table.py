"""A summary as tables for a terminal of 80 columns: scores, verdicts against the best, cost, and findings in words."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from workbench.analysis.narrative import (
    count_digits,
    format_interval,
    format_value,
    list_findings,
    name_metric,
    rank,
    round_cases,
)
from workbench.analysis.summary import PairSummary, Summary, VariantSummary
from workbench.cli.table import console, make_table, show
from workbench.reports.slice_rows import list_repeats, list_slices
from workbench.reports.tables import ReportTable, describe_step_states
from workbench.runs.matrix_rows import Metric
from workbench.units import format_count, format_duration, format_money, format_number

_STYLES = {"better": "green", "worse": "red", "not distinguishable": "yellow", "withheld": "yellow"}
_MOST_ACROSS = 4  # further scores that still fit side by side
_WIDEST = 100
"""columns of a paragraph: longer lines are hard to read"""


def print_summary(summary: Summary) -> None:
    """Put the summary on stdout."""
    out = console()
    for part in _make_parts(summary):
        out.print(part, width=min(out.width, _WIDEST) if isinstance(part, Padding) else None)


def _make_parts(summary: Summary) -> Iterator[Table | Padding]:
    if summary.metrics:
        yield _make_main(summary, summary.metrics[0])
    if others := _make_others(summary):
        yield others
    if summary.spreads:
        yield _make_spreads(summary)
    if any(one.steps for one in summary.variants):
        yield _make_steps(summary)
    if summary.retrieval:
        yield _make_retrieval(summary)
    yield from map(_make_report_table, [one.table for one in list_slices(summary)])
    if repeats := list_repeats(summary):
        yield _make_report_table(repeats)
    findings = [*list_findings(summary)]
    lines = [*findings, *(f"Note: {note}" for note in summary.notes)]
    yield Padding(Text("\n").join(map(show, lines)), (0, 0, 1, 0))


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
        cells += [
            Text(f"{one.tokens_in:.0f}→{one.tokens_out:.0f}" if one.tokens_in else "?"),
            Text(_show_time(one.latency_p50)),
        ]
        if priced:
            cells.append(Text(format_money(one.cost_per_thousand)))
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
    """The verdict in a word; where it is undecided, how many cases would be needed."""
    if one.name == best:
        return Text("best", style="green")
    pair = summary.pair(best, one.name, metric.name)
    if pair is None or not pair.n:
        return Text("–")
    if pair.verdict != "not distinguishable":
        return Text(pair.verdict, style=_STYLES[pair.verdict])
    needed = f" (~{format_count(round_cases(pair.needed_cases))} cases)" if pair.needed_cases else ""
    return Text(f"same?{needed}", style=_STYLES[pair.verdict])


def _make_others(summary: Summary) -> Table | None:
    """The other metrics, and those of the whole dataset; None where there are none."""
    metrics = summary.metrics[1:]
    whole = list(dict.fromkeys(key for one in summary.variants for key in one.dataset_scores if "[" not in key))
    if not metrics and not whole:
        return None
    rows: dict[str, list[Text]] = {
        name_metric(metric.name): [_show_score(one, metric)[0] for one in summary.variants] for metric in metrics
    }
    rows |= {key: [Text(format_number(one.dataset_scores.get(key))) for one in summary.variants] for key in whole}
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
    """How sensitive each score is to the wording of its prompt."""
    numbers = ["as written", "mean", "lowest", "highest", "wordings"]
    table = make_table(["reworded", "score", *numbers, "worst"], right=numbers)
    for one in summary.spreads:
        values = (one.written, one.mean, one.low, one.high)
        row = [one.variant, name_metric(one.metric), *map(format_number, values), str(one.wordings), one.worst]
        table.add_row(*map(show, row))
    return table


def _make_steps(summary: Summary) -> Table:
    """What each step of each chain takes, and how often it gave no answer."""
    chains = [one for one in summary.variants if one.steps]
    priced = any(step.cost_per_thousand for one in chains for step in one.steps)
    numbers = ["calls", "tokens", "median", *(["cost/1000"] if priced else [])]
    table = make_table(["variant", "step", *numbers, ""], right=numbers)
    for one in chains:
        for at, step in enumerate(one.steps):
            cells = [f"{step.calls:,}", f"{step.tokens_in:.0f}→{step.tokens_out:.0f}", _show_time(step.latency_p50)]
            cells += [format_money(step.cost_per_thousand)] if priced else []
            states = Text(describe_step_states(step), style="red" if step.failed or step.not_run else "")
            table.add_row(show(one.name if at == 0 else ""), show(step.name), *map(Text, cells), states)
    return table


def _make_retrieval(summary: Summary) -> Table:
    """What each search gains over none, and what it loses to the oracle, by the first metric."""
    metric = summary.metrics[0]
    name = name_metric(metric.name)
    table = make_table([f"retrieval, {name}", "gain", "95% ", "loss", "95%"], right=["gain", "loss"])
    for one in summary.retrieval:
        if one.metric == metric.name:
            table.add_row(show(one.variant), *_show_gain(one.gain, metric), *_show_gain(one.loss, metric))
    return table


def _show_gain(pair: PairSummary | None, metric: Metric) -> tuple[Text, Text]:
    if pair is None:
        return Text("–"), Text("")
    digits = count_digits(metric, pair.n, pair.difference)
    value = Text(f"{pair.difference:+.{digits}f}", style=_STYLES[pair.verdict])
    if math.isnan(pair.low):
        return value, show(pair.unknown)
    return value, Text(f"{pair.low:+.{digits}f} – {pair.high:+.{digits}f}", no_wrap=True)


def _make_report_table(given: ReportTable) -> Table:
    """A table of the reports."""
    table = make_table(given.head, right=given.head[1:])
    for row in given.rows:
        texts = [f"{cell.text} ({cell.small})" if cell.small else cell.text for cell in row.cells]
        styles = [_STYLES.get(cell.tone, "") for cell in row.cells]
        table.add_row(*(Text(show(text).plain, style) for text, style in zip(texts, styles, strict=True)))
    return table


def _show_time(seconds: float) -> str:
    return format_duration(seconds) if seconds else "–"
