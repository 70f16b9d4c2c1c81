"""Verdict report: a verdict as Markdown, as JSON, and as a page with charts that needs nothing else.

Knows nothing of how a verdict is reached.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from workbench import files
from workbench.evaluation.reports.json import encode
from workbench.evaluation.reports.markdown import escape
from workbench.evaluation.words import format_seconds
from workbench.sanitize import sanitize
from workbench.training.verdict import CurvePoint, Standing, Verdict, describe_metric, tell_score

if TYPE_CHECKING:
    from workbench.evaluation.reports.charts import Point

_HEAD = ("", "prompt", "score", "tokens in → out", "median", "p95", "per 1,000")


def render_json(verdict: Verdict) -> str:
    """The verdict under its own names; null: not known."""
    return encode(verdict)


def render_markdown(verdict: Verdict) -> str:
    told = verdict.recommendation
    parts = [
        f"# Verdict: {escape(verdict.bench or 'comparison')}",
        f"**{escape(told.headline)}**",
        escape(_tell_facts(verdict)),
        _lay_table(
            (_HEAD[0], _HEAD[1], escape(describe_metric(verdict.metric)), *_HEAD[3:]),
            [_row(one, verdict) for one in verdict.arms],
        ),
        _lay_table(*_list_further(verdict)) if len(verdict.metrics) > 1 else "",
        "## Why",
        _list(told.evidence),
        "## What may overturn it",
        _list(told.caveats),
        *_lay_curve(verdict),
        f"Training: {escape(_tell_training(verdict))} Run `{verdict.run}`. Intervals are 95%; differences are paired by"
        " case, p is after Holm's correction.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_html(verdict: Verdict, path: Path) -> None:
    """Write the page in one step. Raises FileError."""
    files.write_text(path, render_html(verdict), durable=False)


def render_html(verdict: Verdict) -> str:
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    from workbench.evaluation.reports import charts

    metric = describe_metric(verdict.metric)
    best = verdict.recommendation.choice
    points = [_point(one, verdict, best) for one in verdict.arms if one.scores]
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=lambda value: sanitize(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    return environment.from_string(_read("verdict.html.jinja")).render(
        style=Markup(files.read_text(Path(charts.__file__).with_name("report.css"))),
        verdict=verdict,
        facts=_tell_facts(verdict),
        training=_tell_training(verdict),
        head=(_HEAD[0], _HEAD[1], metric, *_HEAD[3:]),
        rows=[_row(one, verdict) for one in verdict.arms],
        further=_list_further(verdict) if len(verdict.metrics) > 1 else None,
        intervals=charts.draw_intervals(points, metric, not verdict.metric.free),
        tokens=charts.draw_scatter(
            points, metric, "tokens of a request", lambda value: f"{value:.0f}", not verdict.metric.free
        ),
        curves=[_draw_curve(verdict, kind) for kind in ("rows", "shots")],
    )


def _list_further(verdict: Verdict) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The scores that do not decide: head and rows."""
    further = [metric for metric in verdict.metrics if metric.name != verdict.metric.name]
    head = ("further scores", *(escape(describe_metric(metric)) for metric in further))
    return head, [(one.arm, *(tell_score(one, metric) for metric in further)) for one in verdict.arms]


def _point(one: Standing, verdict: Verdict, best: str) -> Point:
    from workbench.evaluation.reports.charts import Point

    found = one.scores[verdict.metric.name]
    chosen = one.arm == best or (best == "prompt" and one.arm == "best prompt")
    said = tell_score(one, verdict.metric).split(" (")[0]
    return Point(one.arm, found.value, found.low, found.high, one.tokens_in + one.tokens_out, chosen, said)


def _draw_curve(verdict: Verdict, kind: str) -> tuple[str, object]:
    """The score against a number of rows or shots; no picture without points."""
    from workbench.evaluation.reports.charts import Point, draw_scatter

    found = [one for one in verdict.curve if one.kind == kind]
    label = "training rows" if kind == "rows" else "shots"
    points = [Point(str(one.count), one.score.value, one.score.low, one.score.high, one.count) for one in found]
    picture = draw_scatter(
        points, describe_metric(verdict.metric), label, lambda value: f"{value:.0f}", not verdict.metric.free
    )
    return label, picture


def _row(one: Standing, verdict: Verdict) -> tuple[str, ...]:
    latency = [
        format_seconds(value) if math.isfinite(value) and value else "–" for value in (one.latency_p50, one.latency_p95)
    ]
    priced = math.isfinite(one.cost_per_thousand) and one.cost_per_thousand > 0
    name = one.arm if one.arm == one.variant else f"{one.arm}: {one.variant}"
    return (
        name,
        one.prompt + (f" + {one.adapter}" if one.adapter else ""),
        tell_score(one, verdict.metric) + (f", {one.failed} failed" if one.failed else ""),
        f"{one.tokens_in:.0f} → {one.tokens_out:.0f}" if math.isfinite(one.tokens_in) else "–",
        *latency,
        f"{one.cost_per_thousand:.4g}" if priced else "–",
    )


def _tell_facts(verdict: Verdict) -> str:
    when = datetime.fromtimestamp(verdict.created, UTC).strftime("%Y-%m-%d %H:%M UTC") if verdict.created else ""
    return " · ".join(part for part in (f"{verdict.cases:,} test cases", verdict.dataset, when) if part)


def _tell_training(verdict: Verdict) -> str:
    spent = verdict.training
    money = f", {spent.money:.4g} in money" if spent.money is not None else ""
    return f"{spent.adapter}: {spent.rows:,} rows, {spent.tokens:,} tokens, {format_seconds(spent.seconds)}{money}."


def _lay_curve(verdict: Verdict) -> list[str]:
    if not verdict.curve:
        return []
    rows = [[one.kind, str(one.count), _tell_point(one)] for one in verdict.curve]
    return [
        "## Rows against shots, on the validation split",
        _lay_table(("", "count", describe_metric(verdict.metric)), rows),
    ]


def _tell_point(one: CurvePoint) -> str:
    score = one.score
    return f"{score.value:.2f}" + ("" if math.isnan(score.low) else f" ({score.low:.2f} – {score.high:.2f})")


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {escape(line)}" for line in lines)


def _lay_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [
        [escape(cell) for cell in head],
        ["---", *["---:"] * (len(head) - 1)],
        *([escape(c) for c in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _read(name: str) -> str:
    return files.read_text(Path(__file__).with_name(name))
