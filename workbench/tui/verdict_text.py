"""Verdict text: a verdict as a table and as paragraphs, for a width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite, isnan
from typing import NamedTuple

from rich.cells import set_cell_size
from textual.content import Content

from workbench.analysis.narrative import format_value
from workbench.runs.matrix_rows import Metric
from workbench.sanitize import sanitize
from workbench.training.verdict import (
    BreakEven,
    ConditionResult,
    MakingCost,
    Verdict,
    describe_metric,
    describe_search,
)
from workbench.training.verdict import describe_cost as describe_spent
from workbench.units import format_duration, format_money

LETTERS = "ABCDEFG"
COLOURS = ("primary", "accent", "secondary", "warning", "success", "error", "foreground")
"""of each arm, in the table and in the plots"""

_WIDE = 112
_WIDEST = 150
_TONES = {
    "better": ("✓ better", "$text-success"),
    "worse": ("✗ worse", "$text-error"),
    "withheld": ("? withheld", "$text-warning"),
}
_BASES = {"money": "in money", "time": "in machine time", "tokens": "in tokens"}

Part = str | tuple[str, str]


class TextColumn(NamedTuple):
    """A column: its head, how wide it is, on which side its cells stand."""

    head: str
    width: int
    right: bool = False


def find_metric(verdict: Verdict, name: str) -> Metric:
    """One of the verdict's metrics; the deciding one for an unknown name."""
    return next((one for one in verdict.metrics if one.name == name), verdict.metric)


def lay_table(verdict: Verdict, metric: Metric, width: int) -> Content:
    """Every arm in a row, by one metric; narrow screens leave out what the words below say as well."""
    wide = width >= _WIDE
    columns = list(_columns(metric, width, wide))
    parts: list[Part] = [(_line([one.head for one in columns], columns), "$foreground 60%")]
    for index, one in enumerate(verdict.conditions):
        cells = _cells(verdict, metric, one, width)
        parts += [
            "\n",
            (f" {LETTERS[index]} ", f"bold ${COLOURS[index]}"),
            (_fit(sanitize(one.condition), columns[0].width - 3), "bold" if _is_choice(verdict, one) else ""),
        ]
        for column, (text, style) in zip(columns[1:], cells, strict=True):
            parts.append((_fit(text, column.width, column.right), style))
    return Content.assemble(*(part for part in parts if part))


def _columns(metric: Metric, width: int, wide: bool) -> Iterator[TextColumn]:
    first = 29 if width >= _WIDEST else 24 if wide else 23
    yield TextColumn("", first)
    if wide:
        rest = width - first - 23 - 13 - 14 - 10 - 10 - 12 - (16 if width >= _WIDEST else 0)
        yield TextColumn("prompt, adapter", min(40, rest))
    yield TextColumn(f"{describe_metric(metric)}, 95%", 23 if wide else 20)
    yield TextColumn("vs prompt" if wide else "vs", 13 if wide else 9)
    yield TextColumn("tokens in→out" if wide else "tokens", 14 if wide else 8, True)
    yield TextColumn("median", 10 if wide else 8, True)
    yield TextColumn("p95", 10 if wide else 8, True)
    if wide:
        yield TextColumn("per 1,000", 12, True)
    if width >= _WIDEST:
        yield TextColumn("to make", 16, True)


def _cells(verdict: Verdict, metric: Metric, one: ConditionResult, width: int) -> Iterator[tuple[str, str]]:
    muted, wide = "$foreground 60%", width >= _WIDE
    if wide:
        adapter = f" + {one.adapter}" if one.adapter else ""
        yield sanitize(f"{one.prompt}{adapter}"), muted
    yield show_score(one, metric), "bold"
    yield _compare(verdict, one, metric, wide)
    yield _tokens(one, wide), ""
    for seconds in (one.latency_p50, one.latency_p95):
        yield (format_duration(seconds) if isfinite(seconds) and seconds else "–"), ""
    if wide:
        priced = isfinite(one.cost_per_thousand) and one.cost_per_thousand > 0
        yield (format_money(one.cost_per_thousand) if priced else "–"), ""
    if width >= _WIDEST:
        yield _describe_made(one.made), muted


def show_score(one: ConditionResult, metric: Metric) -> str:
    """`0.97  .95–.99`: the value, and its interval where there is one."""
    found = one.scores.get(metric.name)
    if found is None or isnan(found.value):
        return "–"
    interval = "" if isnan(found.low) else f"  {_short(found.low)}–{_short(found.high)}"
    return f"{format_value(found.value, metric, found.n)}{interval}" + (f" {one.failed} failed" if one.failed else "")


def _short(value: float) -> str:
    text = f"{value:.2f}"
    return text[1:] if text.startswith("0.") else text


def _compare(verdict: Verdict, one: ConditionResult, metric: Metric, wide: bool) -> tuple[str, str]:
    """Against the best prompt, in a word and a sign."""
    best = verdict.condition("best prompt")
    if best is None or best.variant == one.variant:
        return "best", "$foreground 60%"
    pair = verdict.pair("best prompt", one.condition, metric.name)
    if pair is None:
        return "", ""
    text, style = _TONES.get(pair.verdict, ("≈ similar", "$text-warning"))
    return text, style


def _describe_made(made: MakingCost | None) -> str:
    """In money where there is a price, else in time."""
    if made is None:
        return "by hand"
    if made.money is not None:
        return format_money(made.money)
    return "unknown" if made.seconds is None else format_duration(made.seconds)


def _tokens(one: ConditionResult, wide: bool) -> str:
    if not isfinite(one.tokens_in):
        return "–"
    return f"{one.tokens_in:.0f} → {one.tokens_out:.0f}" if wide else f"{one.tokens_in:.0f}→{one.tokens_out:.0f}"


def _is_choice(verdict: Verdict, one: ConditionResult) -> bool:
    choice = verdict.recommendation.choice
    return one.condition == choice or (choice == "prompt" and one.condition == "best prompt")


def describe_headline(verdict: Verdict) -> Content:
    """What to do, and on what it was tried."""
    advice = verdict.recommendation
    style = "$text-warning" if advice.choice == "undecided" else "$text-success"
    facts = f"{verdict.cases:,} test cases of {verdict.dataset.rpartition('/')[2]}"
    return Content.assemble(
        (sanitize(advice.headline), f"bold {style}"), (f"\n{sanitize(facts)}, run {verdict.run}", "$foreground 60%")
    )


def describe_cost(verdict: Verdict) -> Content:
    """What search and training took, and when each has paid for itself."""
    spent, record, dim = verdict.training, verdict.search, "$foreground 60%"
    parts: list[Part] = []
    if record is not None:
        parts += [("search       ", dim), f"{sanitize(record.prompt)}: {sanitize(describe_search(record))}\n"]
    if spent.adapter:
        parts += [("training     ", dim), f"{sanitize(spent.adapter)}: {sanitize(describe_spent(spent))}\n"]
    made = dict.fromkeys(one.condition for one in verdict.break_even)
    for condition in made:
        parts += [("break-even   ", dim), f"{condition}: " if len(made) > 1 else ""]
        for index, one in enumerate(one for one in verdict.break_even if one.condition == condition):
            tone = "$text-success" if one.requests is not None else ""
            parts += [" · " if index else "", (_describe_break_even(one), tone)]
        parts.append("\n")
    if not made:
        parts += [("break-even   ", dim), "unknown"]
    return Content.assemble(*(part for part in parts if part)).rstrip("\n")


def _describe_break_even(one: BreakEven) -> str:
    after = f"after {one.requests:,} requests" if one.requests is not None else "never"
    return f"{after} {_BASES[one.basis]}"


def describe_reasons(verdict: Verdict) -> Content:
    return _list("Why", verdict.recommendation.evidence, "$text-success")


def describe_caveats(verdict: Verdict) -> Content:
    return _list("Caveats", verdict.recommendation.caveats, "$text-warning")


def _list(title: str, lines: Sequence[str], tone: str) -> Content:
    parts: list[Part] = [(f"{title}\n", "bold $primary")]
    for line in lines:
        parts += [("• ", tone), f"{sanitize(line)}\n"]
    return Content.assemble(*parts)


def _line(cells: Sequence[str], columns: Sequence[TextColumn]) -> str:
    return "".join(_fit(text, column.width, column.right) for text, column in zip(cells, columns, strict=True))


def _fit(text: str, width: int, right: bool = False) -> str:
    cut = set_cell_size(text, width - 1) if Content(text).cell_length > width - 1 else text
    gap = " " * (width - Content(cut).cell_length)
    return gap + cut if right else cut + gap
