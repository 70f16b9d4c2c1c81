"""SummaryStrip: the variants of a run as a forest plot below the matrix: score, interval, verdict in words, cost."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, isnan
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from textual.content import Content

from workbench.analysis.summary import Estimate, PairSummary, Summary, VariantSummary
from workbench.sanitize import sanitize_line
from workbench.tui.widgets.matrix_table import fit_cells
from workbench.tui.widgets.plain import Static
from workbench.units import format_duration, format_p

_TONES = {"better": "$text-success", "worse": "$text-error"}
_MUTED = "$foreground 60%"
_WIDE = 110
"""cells from which the ends of the intervals are shown as numbers, and tokens beside the time"""
_VALUE = 7

Part = str | tuple[str, str]


class _Columns(NamedTuple):
    """Cells of each column, the gap behind it included; words take what is left."""

    name: int
    plot: int
    interval: int
    words: int
    cost: int


class SummaryStrip(Static):
    """A line of headings, then one for each variant, as many as fit in a third of the screen."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: tuple[Summary, str, int, int, int] | None = None

    def show(self, summary: Summary | None, metric: str, column: int) -> None:
        """Show the figures of one metric; None while nothing is known. column: that of the cursor."""
        if summary is None:
            self._shown = None
            self.update(Content("  Figures appear with the first finished cells."))
            return
        width, most = self.size.width, max(self.app.size.height // 3 - 1, 2)
        if self._shown == (summary, metric, column, width, most) or width < 40:
            return
        self._shown = (summary, metric, column, width, most)
        first = max(0, min(column - most + 1, len(summary.variants) - most))
        self.update(draw_forest(summary, metric, width, summary.variants[first : first + most]))


def draw_forest(summary: Summary, metric: str, width: int, variants: Sequence[VariantSummary]) -> Content:
    """The plot of these variants on an axis that is the same for all of the run."""
    best = find_best(summary, metric)
    kind = next((kind for kind in summary.metrics if kind.name == metric), None)
    low, high = _axis(
        [one.scores[metric] for one in summary.variants if metric in one.scores], bool(kind and kind.free)
    )
    costs = [_cost(one, width >= _WIDE) for one in variants]
    columns = _share(width, [one.name for one in variants], costs)
    lines = [_head(summary, metric, best, columns, (low, high))]
    for one, cost in zip(variants, costs, strict=True):
        estimate = one.scores.get(metric)
        known = estimate is not None and not isnan(estimate.value)
        is_best = one.name == best
        words, tone = _verdict(summary, one, metric, best)
        line: list[Part] = [
            ("★ " if is_best else "  ", "$text-success"),
            (fit_cells(one.name, columns.name), "bold" if is_best else ""),
            (_fit(f"{estimate.value:.2f}" if known and estimate else "–", _VALUE), "bold"),
            (_fit(_draw_interval(estimate, low, high, columns.plot - 1), columns.plot), "$primary"),
            (_fit(_interval(estimate), columns.interval), _MUTED),
            (_fit(words, columns.words), tone),
            (_fit(cost, columns.cost), _MUTED),
        ]
        lines.append(line)
    return Content("\n").join([Content.assemble(*(_styled(part) for part in line)) for line in lines])


def find_best(summary: Summary, metric: str) -> str:
    """The variant with the best value of a metric; "" where none has one."""
    kind = next((kind for kind in summary.metrics if kind.name == metric), None)
    scored = {
        variant.name: variant.scores[metric].value
        for variant in summary.variants
        if metric in variant.scores and not isnan(variant.scores[metric].value)
    }
    if not scored:
        return ""
    lower = kind is not None and kind.lower_is_better
    return (min if lower else max)(scored, key=lambda name: scored[name])


def _styled(part: Part) -> Part:
    return part[0] if isinstance(part, tuple) and not part[1] else part


def _share(width: int, names: Sequence[str], costs: Sequence[str]) -> _Columns:
    longest = max((cell_len(sanitize_line(name)) for name in names), default=0)
    name = min(longest + 1, max(14, width // 6))
    plot = max(13, min(width // 6, 41))
    interval = 13 if width >= _WIDE else 0
    cost = max((cell_len(cost) for cost in costs), default=0) + 1
    words = width - 2 - name - _VALUE - plot - interval - cost
    if words < cost:
        words, cost = words + cost, 0
    return _Columns(name, plot, interval, max(words, 0), cost)


def _head(summary: Summary, metric: str, best: str, columns: _Columns, axis: tuple[float, float]) -> list[Part]:
    """The metric, the ends of the axis, and what the verdicts are against and corrected for."""
    low, high = (f"{end:g}" for end in axis)
    plot = low + high.rjust(max(columns.plot - 1 - len(low), 0))
    family = max((pair.family for pair in summary.pairs if pair.metric == metric), default=1)
    against = f"against {best}" if best else ""
    corrected = f"p after Holm's correction for {family} comparisons"
    words = f"{against}; {corrected}" if best and family > 1 else against
    room = columns.interval + columns.words + columns.cost
    if cell_len(words) > room and family > 1:
        words = f"p corrected for {family} comparisons (Holm)"
    return [
        (fit_cells(f"  {metric.replace('_', ' ')}", 2 + columns.name + _VALUE), _MUTED),
        (_fit(plot, columns.plot), _MUTED),
        (_fit(words, room), _MUTED),
    ]


def _axis(estimates: Sequence[Estimate], free: bool) -> tuple[float, float]:
    """From 0 to 1; for values of another scale from the lowest to the highest end of an interval."""
    ends = [end for one in estimates for end in (one.value, one.low, one.high) if isfinite(end)]
    if not ends or (not free and min(ends) >= 0 and max(ends) <= 1):
        return 0.0, 1.0
    return min(ends, default=0.0), max(ends, default=1.0)


def _draw_interval(estimate: Estimate | None, low: float, high: float, width: int) -> str:
    """The interval as a line with its mean on it."""
    if estimate is None or isnan(estimate.value):
        return ""

    def at(value: float) -> int:
        share = (min(max(value, low), high) - low) / (high - low) if high > low else 0.0
        return round(share * (width - 1))

    line = [" "] * width
    if not isnan(estimate.low):
        left, right = at(estimate.low), at(estimate.high)
        line[left : right + 1] = "─" * (right + 1 - left)
        line[left], line[right] = "├", "┤"
    line[at(estimate.value)] = "●"
    return "".join(line)


def _interval(estimate: Estimate | None) -> str:
    if estimate is None or isnan(estimate.low):
        return ""
    return f"{estimate.low:.2f}–{estimate.high:.2f}"


def _verdict(summary: Summary, variant: VariantSummary, metric: str, best: str) -> tuple[str, str]:
    """What is missing, then the verdict against the best: where data is short, how much of it would tell."""
    estimate = variant.scores.get(metric)
    counts = {"failed": variant.failed, "cut": variant.cut, "unscored": variant.unscored.get(metric, 0)}
    words = [f"{count:,} {word}" for word, count in counts.items() if count]
    if estimate is None or isnan(estimate.value):
        return " · ".join(words), "$text-warning"
    if isnan(estimate.low) and estimate.unknown:
        words.append(estimate.unknown)
    if variant.name == best:
        return " · ".join([*words, "best"]), "$text-success"
    pair = summary.pair(best, variant.name, metric)
    if pair is None:
        return " · ".join(words), "$text-warning"
    return " · ".join([*words, *_compare(pair)]), _TONES.get(pair.verdict, "$text-warning")


def _compare(pair: PairSummary) -> list[str]:
    p = format_p(pair.p_adjusted).replace("= ", "")
    if pair.verdict == "withheld":
        return [f"no verdict: {pair.withheld}"]
    if pair.verdict == "not distinguishable":
        needed = [f"needs ~{pair.needed_cases:,} cases"] if pair.needed_cases else []
        return [f"tie, {p}", *needed]
    return [f"{pair.verdict} by {abs(pair.difference):.2f}, {p}"]


def _cost(variant: VariantSummary, with_tokens: bool) -> str:
    """Median time and mean tokens. Of answers from the cache it is the time they took when they were generated."""
    if variant.n == variant.failed:
        return ""
    tokens = f" {variant.tokens_in:.0f}→{variant.tokens_out:.0f}" if with_tokens else ""
    if variant.latency_p50:
        return f"{format_duration(variant.latency_p50)}{tokens}"
    time = f"{format_duration(variant.cached_p50)} cached" if variant.cached_p50 else "cached"
    return f"{time}{tokens}"


def _fit(text: str, width: int) -> str:
    if width <= 0:
        return ""
    flat = sanitize_line(text)
    return (set_cell_size(flat, width - 2) + "… ") if cell_len(flat) > width - 1 else set_cell_size(flat, width)
