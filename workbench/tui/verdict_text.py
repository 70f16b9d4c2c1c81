"""Verdict text: a verdict as a table and as paragraphs, laid out for a width.

Knows nothing of widgets, and works nothing out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite, isnan
from typing import NamedTuple

from rich.cells import set_cell_size
from textual.content import Content

from workbench.evaluation.view import Metric
from workbench.evaluation.words import format_seconds, format_value
from workbench.sanitize import sanitize
from workbench.training.verdict import BreakEven, Standing, Verdict, describe_metric
from workbench.tui.figures import show_count

LETTERS = "ABCDE"
COLOURS = ("primary", "accent", "secondary", "success", "error")
"""of each arm, in the table and in the plots"""

_WIDE = 112
_TONES = {
    "better": ("✓ better", "$text-success"),
    "worse": ("✗ worse", "$text-error"),
    "withheld": ("? withheld", "$text-warning"),
}
_BASES = {"money": "in money", "time": "in the machine's time", "tokens": "in tokens"}

Part = str | tuple[str, str]


class Column(NamedTuple):
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
    for place, one in enumerate(verdict.arms):
        cells = _cells(verdict, metric, one, wide)
        parts += [
            "\n",
            (f" {LETTERS[place]} ", f"bold ${COLOURS[place]}"),
            (_fit(sanitize(one.arm), columns[0].width - 3), "bold" if _is_choice(verdict, one) else ""),
        ]
        for column, (text, style) in zip(columns[1:], cells, strict=True):
            parts.append((_fit(text, column.width, column.right), style))
    return Content.assemble(*(part for part in parts if part))


def _columns(metric: Metric, width: int, wide: bool) -> Iterator[Column]:
    yield Column("", 23 if wide else 21)
    if wide:
        yield Column("prompt, adapter", min(40, width - 23 - 23 - 13 - 14 - 10 - 10 - 12))
    yield Column(f"{describe_metric(metric)}, 95%", 23 if wide else 20)
    yield Column("vs prompt" if wide else "vs", 13 if wide else 9)
    yield Column("tokens in→out" if wide else "tokens", 14 if wide else 8, True)
    yield Column("median", 10 if wide else 8, True)
    yield Column("p95", 10 if wide else 8, True)
    if wide:
        yield Column("per 1,000", 12, True)


def _cells(verdict: Verdict, metric: Metric, one: Standing, wide: bool) -> Iterator[tuple[str, str]]:
    muted = "$foreground 60%"
    if wide:
        laid = f" + {one.adapter}" if one.adapter else ""
        yield sanitize(f"{one.prompt}{laid}"), muted
    yield show_score(one, metric), "bold"
    yield _compare(verdict, one, metric, wide)
    yield _tokens(one, wide), ""
    for seconds in (one.latency_p50, one.latency_p95):
        yield (format_seconds(seconds) if isfinite(seconds) and seconds else "–"), ""
    if wide:
        priced = isfinite(one.cost_per_thousand) and one.cost_per_thousand > 0
        yield (f"{one.cost_per_thousand:.4g}" if priced else "–"), ""


def show_score(one: Standing, metric: Metric) -> str:
    """`0.97  .95–.99`: the value, and its interval where there is one."""
    found = one.scores.get(metric.name)
    if found is None or isnan(found.value):
        return "–"
    interval = "" if isnan(found.low) else f"  {_short(found.low)}–{_short(found.high)}"
    return f"{format_value(found.value, metric, found.n)}{interval}" + (f" {one.failed} failed" if one.failed else "")


def _short(value: float) -> str:
    text = f"{value:.2f}"
    return text[1:] if text.startswith("0.") else text


def _compare(verdict: Verdict, one: Standing, metric: Metric, wide: bool) -> tuple[str, str]:
    """Against the best prompt, in a word and a sign."""
    best = verdict.arm("best prompt")
    if best is None or best.variant == one.variant:
        return ("the best" if wide else "best"), "$foreground 60%"
    pair = verdict.pair("best prompt", one.arm, metric.name)
    if pair is None:
        return "", ""
    text, style = _TONES.get(pair.verdict, ("≈ same?", "$text-warning"))
    return text, style


def _tokens(one: Standing, wide: bool) -> str:
    if not isfinite(one.tokens_in):
        return "–"
    return f"{one.tokens_in:.0f} → {one.tokens_out:.0f}" if wide else f"{one.tokens_in:.0f}→{one.tokens_out:.0f}"


def _is_choice(verdict: Verdict, one: Standing) -> bool:
    choice = verdict.recommendation.choice
    return one.arm == choice or (choice == "prompt" and one.arm == "best prompt")


def describe_headline(verdict: Verdict) -> Content:
    """What to do, and on what it was tried."""
    told = verdict.recommendation
    style = "$text-warning" if told.choice == "undecided" else "$text-success"
    facts = f"{verdict.cases:,} test cases of {verdict.dataset.rpartition('/')[2]}"
    return Content.assemble(
        (sanitize(told.headline), f"bold {style}"), (f"\n{sanitize(facts)}, run {verdict.run}", "$foreground 60%")
    )


def describe_cost(verdict: Verdict) -> Content:
    """What the training took, and when it has paid for itself."""
    spent = verdict.training
    money = f", {spent.money:.4g} in money" if spent.money is not None else ""
    took = (
        f"{sanitize(spent.adapter)}: {spent.rows:,} rows, {show_count(spent.tokens)} tokens, "
        f"{format_seconds(spent.seconds)}{money}"
    )
    parts: list[Part] = [("training     ", "$foreground 60%"), took, ("\npaid back    ", "$foreground 60%")]
    for place, one in enumerate(verdict.break_even):
        parts += [" · " if place else "", (_tell_even(one), "$text-success" if one.requests is not None else "")]
    return Content.assemble(*(part for part in parts if part))


def _tell_even(one: BreakEven) -> str:
    after = f"after {one.requests:,} requests" if one.requests is not None else "never"
    return f"{after} {_BASES[one.basis]}"


def describe_reasons(verdict: Verdict) -> Content:
    return _list("Why", verdict.recommendation.evidence, "$text-success")


def describe_caveats(verdict: Verdict) -> Content:
    return _list("What may overturn it", verdict.recommendation.caveats, "$text-warning")


def _list(title: str, lines: Sequence[str], tone: str) -> Content:
    parts: list[Part] = [(f"{title}\n", "bold $primary")]
    for line in lines:
        parts += [("• ", tone), f"{sanitize(line)}\n"]
    return Content.assemble(*parts)


def _line(cells: Sequence[str], columns: Sequence[Column]) -> str:
    return "".join(_fit(text, column.width, column.right) for text, column in zip(cells, columns, strict=True))


def _fit(text: str, width: int, right: bool = False) -> str:
    cut = set_cell_size(text, width - 1) if Content(text).cell_length > width - 1 else text
    gap = " " * (width - Content(cut).cell_length)
    return gap + cut if right else cut + gap
