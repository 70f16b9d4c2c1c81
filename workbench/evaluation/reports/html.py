"""HTML: a run as one page that needs nothing else: words, numbers, charts, and its cases to search through.

Knows nothing of how numbers are worked out. Whatever a model or a person wrote is escaped by the template, and the
page allows no script but its own.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from workbench import files
from workbench.evaluation.reports.case_list import MOST_CASES, list_cases
from workbench.evaluation.reports.charts import Point, draw_intervals, draw_scatter
from workbench.evaluation.reports.tables import list_confusion, list_pairs, list_spreads, list_variants
from workbench.evaluation.summary import Summary
from workbench.evaluation.view import Metric, RunView
from workbench.evaluation.words import format_seconds, format_value, list_findings, name_metric
from workbench.sanitize import sanitize


def write_html(view: RunView, summary: Summary, path: Path, most_cases: int = MOST_CASES) -> None:
    """Write the page in one step. Raises FileError."""
    files.write_text(path, render_html(view, summary, most_cases), durable=False)


def render_html(view: RunView, summary: Summary, most_cases: int = MOST_CASES) -> str:
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
        "facts": _tell_facts(view, summary),
        "findings": list_findings(summary),
        "variants": list_variants(summary),
        "charts": [chart for metric in summary.metrics if (chart := _draw(summary, metric))],
        "pairs": [one for metric in summary.metrics if (one := list_pairs(summary, metric))],
        "spreads": list_spreads(summary),
        "confusion": [list_confusion(one) for one in summary.confusion],
        "best": summary.best,
        "notes": summary.notes,
        "names": view.variants,
        "cases": cases.cases,
        "cases_note": cases.note,
    }


def _tell_facts(view: RunView, summary: Summary) -> str:
    run = view.run
    begun = datetime.fromtimestamp(run.started, UTC).strftime("%Y-%m-%d %H:%M UTC") if run.started else ""
    counts = f"{run.cases:,} cases × {len(summary.variants)} variants"
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
            place = across.get(axis, float("nan"))
            said = format_value(score.value, metric, score.n)
            found.append(Point(one.name, score.value, score.low, score.high, place, one.name == summary.best, said))
        return found

    return {
        "title": name,
        "intervals": draw_intervals(points(""), name, bounded),
        "seconds": draw_scatter(points("seconds"), name, "time", format_seconds, bounded),
        "tokens": draw_scatter(points("tokens"), name, "tokens", lambda value: f"{value:.0f}", bounded),
    }


def _read(name: str) -> str:
    return files.read_text(Path(__file__).with_name(name))
