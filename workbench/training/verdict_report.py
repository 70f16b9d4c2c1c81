"""Renders a verdict as Markdown, as JSON, and as a self-contained HTML page with charts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from workbench import files
from workbench.errors import TrainingError
from workbench.reports.json import encode
from workbench.reports.markdown import escape
from workbench.sanitize import sanitize
from workbench.training.verdict import (
    ConditionResult,
    CurvePoint,
    Verdict,
    describe_cost,
    describe_making,
    describe_metric,
    describe_score,
    describe_search,
)
from workbench.units import format_date, format_duration, format_money

if TYPE_CHECKING:
    from workbench.reports.charts import Point

_HEAD = ("", "prompt", "score", "tokens in → out", "median", "p95", "per 1,000", "to make")


def render_json(verdict: Verdict) -> str:
    """The verdict by field names; null: not known."""
    return encode(verdict)


def render_markdown(verdict: Verdict) -> str:
    recommendation = verdict.recommendation
    parts = [
        f"# Verdict: {escape(verdict.bench or 'comparison')}",
        f"**{escape(recommendation.headline)}**",
        escape(_describe_facts(verdict)),
        _render_table(
            (_HEAD[0], _HEAD[1], escape(describe_metric(verdict.metric)), *_HEAD[3:]),
            [_row(one, verdict) for one in verdict.conditions],
        ),
        _render_table(*_list_further(verdict)) if len(verdict.metrics) > 1 else "",
        "## Why",
        _list(recommendation.evidence),
        "## What may overturn it",
        _list(recommendation.caveats),
        *_render_curve(verdict),
        f"{escape(_describe_making(verdict))} Run `{verdict.run}`. Intervals are 95%; differences are"
        " paired by case, p is after Holm's correction.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def find_verdict_format(path: Path) -> VerdictFormat:
    """The format of the path's suffix. Raises TrainingError for one that there is not."""
    chosen = VERDICT_FORMATS.get(path.suffix.lower())
    if chosen is None:
        raise TrainingError(
            f"{path}: a verdict has no format with the suffix {path.suffix or '(none)'}.",
            f"Choose one of {', '.join(VERDICT_FORMATS)}.",
        )
    return chosen


def write_verdict(verdict: Verdict, path: Path) -> None:
    """Write a verdict in the format of the path's suffix. Raises TrainingError and FileError."""
    files.write_text(path, find_verdict_format(path).render(verdict), durable=False)


def render_html(verdict: Verdict) -> str:
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    from workbench.reports import charts

    metric = describe_metric(verdict.metric)
    best = verdict.recommendation.choice
    points = [_point(one, verdict, best) for one in verdict.conditions if one.scores]
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=lambda value: sanitize(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    return environment.from_string(_read("verdict.html.jinja")).render(
        style=Markup(files.read_text(Path(charts.__file__).with_name("report.css"))),
        verdict=verdict,
        facts=_describe_facts(verdict),
        making=_describe_making(verdict),
        head=(_HEAD[0], _HEAD[1], metric, *_HEAD[3:]),
        rows=[_row(one, verdict) for one in verdict.conditions],
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
    return head, [(one.condition, *(describe_score(one, metric) for metric in further)) for one in verdict.conditions]


def _point(one: ConditionResult, verdict: Verdict, best: str) -> Point:
    from workbench.reports.charts import Point

    found = one.scores[verdict.metric.name]
    chosen = one.condition == best or (best == "prompt" and one.condition == "best prompt")
    score = describe_score(one, verdict.metric).split(" (")[0]
    return Point(one.condition, found.value, found.low, found.high, one.tokens_in + one.tokens_out, chosen, score)


def _draw_curve(verdict: Verdict, kind: str) -> tuple[str, object]:
    """The score against a number of rows or shots; no picture without points."""
    from workbench.reports.charts import Point, draw_scatter

    found = [one for one in verdict.curve if one.kind == kind]
    label = "training rows" if kind == "rows" else "shots"
    points = [Point(str(one.count), one.score.value, one.score.low, one.score.high, one.count) for one in found]
    picture = draw_scatter(
        points, describe_metric(verdict.metric), label, lambda value: f"{value:.0f}", not verdict.metric.free
    )
    return label, picture


def _row(one: ConditionResult, verdict: Verdict) -> tuple[str, ...]:
    latency = [
        format_duration(value) if math.isfinite(value) and value else "–"
        for value in (one.latency_p50, one.latency_p95)
    ]
    priced = math.isfinite(one.cost_per_thousand) and one.cost_per_thousand > 0
    name = one.condition if one.condition == one.variant else f"{one.condition}: {one.variant}"
    return (
        name,
        one.prompt + (f" + {one.adapter}" if one.adapter else ""),
        describe_score(one, verdict.metric) + (f", {one.failed} failed" if one.failed else ""),
        f"{one.tokens_in:.0f} → {one.tokens_out:.0f}" if math.isfinite(one.tokens_in) else "–",
        *latency,
        format_money(one.cost_per_thousand) if priced else "–",
        describe_making(one.made),
    )


def _describe_facts(verdict: Verdict) -> str:
    when = format_date(verdict.created, utc=True) if verdict.created else ""
    return " · ".join(part for part in (f"{verdict.cases:,} test cases", verdict.dataset, when) if part)


def _describe_making(verdict: Verdict) -> str:
    """What search and training cost."""
    spent, record = verdict.training, verdict.search
    parts = [f"Search: {record.prompt}: {describe_search(record)}."] if record else []
    parts += [f"Training: {spent.adapter}: {describe_cost(spent)}."] if spent.adapter else []
    return " ".join(parts)


def _render_curve(verdict: Verdict) -> list[str]:
    if not verdict.curve:
        return []
    rows = [[one.kind, str(one.count), _describe_point(one)] for one in verdict.curve]
    return [
        "## Rows against shots, on the validation split",
        _render_table(("", "count", describe_metric(verdict.metric)), rows),
    ]


def _describe_point(one: CurvePoint) -> str:
    score = one.score
    return f"{score.value:.2f}" + ("" if math.isnan(score.low) else f" ({score.low:.2f} – {score.high:.2f})")


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {escape(line)}" for line in lines)


def _render_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [
        [escape(cell) for cell in head],
        ["---", *["---:"] * (len(head) - 1)],
        *([escape(c) for c in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _read(name: str) -> str:
    return files.read_text(Path(__file__).with_name(name))


class VerdictFormat(NamedTuple):
    """title: what people call the format. help: what such a file holds."""

    title: str
    help: str
    render: Callable[[Verdict], str]


VERDICT_FORMATS = {
    ".html": VerdictFormat("HTML", "one page with charts", render_html),
    ".md": VerdictFormat("Markdown", "the table and the reasons, for a pull request", render_markdown),
    ".json": VerdictFormat("JSON", "every number under its name", render_json),
}
"""By the suffix of the file."""
