"""Measurements of a variant in words: example effects, adapter scales, robustness; and a bench's scores over runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from textwrap import fill
from typing import Literal

from workbench.analysis.adapter_scales import describe_scales, measure_scale
from workbench.analysis.baseline import read_series
from workbench.analysis.example_effects import describe_effects, measure_effects
from workbench.analysis.narrative import count_digits, format_interval, format_value, name_metric
from workbench.analysis.summary import Estimate, Outcome, summarize
from workbench.runs.matrix_rows import Metric
from workbench.runs.view import RunView
from workbench.store.store import Store
from workbench.units import format_date, format_plural

Measurement = Literal["effects", "scales", "robustness", "drift"]

_LONGEST = 40
_WIDTH = 72
"""of a sentence: of a dialog on a terminal of 80 columns"""
_WORTH = {"helps": "▲ helps", "hurts": "▼ hurts", "not distinguishable": "≈ cannot tell"}
_MOVES = {"better": "▲", "worse": "▼", "not distinguishable": "≈", "withheld": "?"}


def describe_measurement(store: Store, what: Measurement, run: str, name: str) -> str:
    """A measurement as text. name: of the variant; for the scores over runs, of the bench. Raises StoreError."""
    if what == "drift":
        return _describe_series(store, name)
    view = RunView(store, run)
    if what == "effects":
        return _describe_effects(view, name)
    return _describe_scales(view, name) if what == "scales" else _describe_robustness(view)


def _describe_effects(view: RunView, variant: str) -> str:
    found = measure_effects(view, variant)
    digits = count_digits(found.metric, found.value.n)
    rows = [("example", "shows", "answer", "change", "95%", "tokens", "")]
    for one in found.effects:
        interval = one.unknown if math.isnan(one.low) else f"{one.low:+.{digits}f} to {one.high:+.{digits}f}"
        change = f"{one.change:+.{digits}f}"
        rows.append((one.example, one.shown, one.answer, change, interval, f"{one.tokens:.0f}", _WORTH[one.worth]))
    head = (
        f"{found.variant}: {_score(found.metric, found.value)} with all {len(found.effects)} examples,"
        f" {format_plural(found.value.n, 'case')}"
    )
    return "\n\n".join((head, fill(describe_effects(found), _WIDTH), lay_out(rows)))


def _describe_scales(view: RunView, variant: str) -> str:
    curve = measure_scale(view, view.origin(variant).variant)
    rows = [("scale", name_metric(curve.metric.name), "95%", "against the best")]
    for point in curve.points:
        one = point.value
        interval = format_interval(one, count_digits(curve.metric, one.n, one.value))
        word = "best" if point.scale == curve.best else _name_outcome(point.verdict)
        rows.append((f"{point.scale:g}", format_value(one.value, curve.metric, one.n), interval, word))
    head = f"{curve.variant}: {curve.adapter}, {format_plural(curve.points[0].value.n, 'case')}"
    return "\n\n".join((head, fill(describe_scales(curve), _WIDTH), lay_out(rows)))


def _name_outcome(verdict: Outcome | None) -> str:
    return "" if verdict is None else verdict


def _describe_robustness(view: RunView) -> str:
    rows: list[Sequence[str]] = [("variant", "score", "as written", "mean", "from", "to", "variations", "worst")]
    for one in summarize(view).spreads:
        figures = ["–" if math.isnan(value) else f"{value:.3f}" for value in (one.written, one.mean, one.low, one.high)]
        rows.append((one.variant, name_metric(one.metric), *figures, f"{one.wordings}", one.worst))
    if len(rows) == 1:
        return "No wording was varied: the prompt has nothing that the bench's perturbations change."
    return f"The score under small changes of the wording.\n\n{lay_out(rows)}"


def _describe_series(store: Store, bench: str) -> str:
    found = read_series(store, bench)
    names = list(dict.fromkeys(name for point in found.points for name in point.values))
    rows: list[Sequence[str]] = [("run", "started", *names, "note")]
    for point in found.points:
        values = []
        for name in names:
            one, change = point.values.get(name), point.changes.get(name)
            sign = f" {_MOVES[change.verdict]}" if change else ""
            values.append("–" if one is None else f"{format_value(one.value, found.metric, one.n)}{sign}")
        run = f"{point.run} (baseline)" if point.run == found.baseline else point.run
        rows.append((run, format_date(point.started), *values, point.note))
    fallen = f"Worse than the baseline, beyond chance: {', '.join(found.fallen)}." if found.fallen else ""
    head = f"{found.bench}: {name_metric(found.metric.name)}, each against {found.baseline}: ▲ better, ▼ worse, ≈ alike"
    return "\n\n".join(part for part in (head, fallen, lay_out(rows)) if part)


def _score(metric: Metric, one: Estimate) -> str:
    return f"{name_metric(metric.name)} {format_value(one.value, metric, one.n)}"


def lay_out(rows: Sequence[Sequence[str]]) -> str:
    """Columns side by side; long texts are cut."""
    cells = [[text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…" for text in row] for row in rows]
    widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )
