"""HTML report: a run as one page that needs nothing else: findings, numbers, charts, and its cases to search.

Whatever a model or a user wrote is escaped by the template, and the page allows no script but its own.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any, TextIO

from markupsafe import Markup

from workbench import files
from workbench.analysis.narrative import format_value, list_findings, name_metric
from workbench.analysis.summary import Summary
from workbench.reports.case_list import MAX_CASES, list_cases
from workbench.reports.charts import Point, draw_intervals, draw_scatter
from workbench.reports.registry import report
from workbench.reports.slice_rows import list_repeats, list_slices
from workbench.reports.tables import (
    list_confusion,
    list_pairs,
    list_retrieval,
    list_sensitivities,
    list_step_summaries,
    list_variants,
)
from workbench.runs.matrix_rows import Metric
from workbench.runs.view import RunView
from workbench.sanitize import sanitize
from workbench.units import format_date, format_duration, format_plural


@report(".html", "HTML", "one page with charts and every case, for any browser")
def write_html(view: RunView, summary: Summary, stream: TextIO) -> None:
    stream.write(render_html(view, summary))


def render_html(view: RunView, summary: Summary, most_cases: int = MAX_CASES) -> str:
    """most_cases: with more, those on which the variants differ come first."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, finalize=lambda value: _clean(value)
    )
    script = _read("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.from_string(_read("report.html.jinja")).render(
        page=_make_page(view, summary, most_cases),
        style=Markup(_read("report.css")),
        script=Markup(script),
        script_hash=Markup(digest),
    )


def _clean(value: Any) -> Any:
    """Foreign text without what would steer the page's direction or hide in it."""
    return sanitize(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _make_page(view: RunView, summary: Summary, most_cases: int) -> dict[str, Any]:
    cases = list_cases(view, most_cases)
    return {
        "title": summary.bench or "Comparison",
        "run": summary.run,
        "facts": _describe_run(view, summary),
        "findings": list_findings(summary),
        "variants": list_variants(summary),
        "charts": [chart for metric in summary.metrics if (chart := _draw(summary, metric))],
        "pairs": [one for metric in summary.metrics if (one := list_pairs(summary, metric))],
        "spreads": list_sensitivities(summary),
        "steps": list_step_summaries(summary),
        "retrieval": list_retrieval(summary),
        "slices": list_slices(summary),
        "repeats": list_repeats(summary),
        "confusion": [list_confusion(one) for one in summary.confusion],
        "best": summary.best,
        "notes": summary.notes,
        "names": view.variants,
        "cases": cases.cases,
        "cases_note": cases.note,
    }


def _describe_run(view: RunView, summary: Summary) -> str:
    run = view.run
    begun = format_date(run.started, utc=True) if run.started else ""
    counts = f"{format_plural(run.cases, 'case')} × {format_plural(len(summary.variants), 'variant')}"
    state = "" if run.state == "finished" else f"{run.state}, {run.done:,} of {run.total:,} cells"
    return " · ".join(part for part in (counts, run.dataset, begun, state, run.note) if part)


def _draw(summary: Summary, metric: Metric) -> dict[str, Any] | None:
    """The pictures of one metric; None where nothing has a value."""
    bounded = not metric.free
    scored = [one for one in summary.variants if metric.name in one.scores]
    if not scored:
        return None
    name = name_metric(metric.name)

    def points(axis: str) -> list[Point]:
        found = []
        for one in scored:
            score = one.scores[metric.name]
            across = {"seconds": one.latency_p50 or float("nan"), "tokens": one.tokens_in + one.tokens_out}
            x = across.get(axis, float("nan"))
            value_text = format_value(score.value, metric, score.n)
            found.append(Point(one.name, score.value, score.low, score.high, x, one.name == summary.best, value_text))
        return found

    return {
        "title": name,
        "intervals": draw_intervals(points(""), name, bounded),
        "seconds": draw_scatter(points("seconds"), name, "time", format_duration, bounded),
        "tokens": draw_scatter(points("tokens"), name, "tokens", lambda value: f"{value:.0f}", bounded),
    }


def _read(name: str) -> str:
    return files.read_text(Path(__file__).with_name(name))
