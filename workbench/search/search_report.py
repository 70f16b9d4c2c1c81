"""Renders the result of a search as Markdown, as JSON, and as a self-contained HTML page."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from workbench import files
from workbench.analysis.narrative import name_metric
from workbench.errors import SearchError
from workbench.reports.json import encode
from workbench.reports.markdown import escape as escape_markdown
from workbench.sanitize import sanitize
from workbench.search.budget import SearchBudget, describe_spending
from workbench.search.candidate import Candidate
from workbench.search.result import SearchResult
from workbench.search.search_words import (
    describe_difference,
    describe_effect,
    describe_estimate,
    describe_outcome,
    list_parts,
    list_reasons,
)
from workbench.search.state import SearchState
from workbench.units import format_p


class SearchReport(NamedTuple):
    """What a report is made of. title: bench and variant. state: the whole search, for its lineage."""

    title: str
    result: SearchResult
    state: SearchState


def render_search_json(report: SearchReport) -> str:
    """The result by field names; null: not known."""
    return encode(report.result)


def render_search_markdown(report: SearchReport, plain: bool = False) -> str:
    """plain: for a terminal, where signs that mean something in Markdown are not escaped."""
    result = report.result
    escape = sanitize if plain else escape_markdown
    effects = [describe_effect(one, result.free) for one in result.effects]
    parts = [
        f"# Optimisation: {escape(report.title)}",
        f"**{escape(describe_outcome(result))}**",
        _render_table(*_tabulate(result), escape) if list_parts(result) else "",
        _list(list(list_reasons(result)), escape),
        "## What each example earns, on dev" if effects else "",
        _list(effects, escape),
        "## How it came about",
        _list(_describe_lineage(report), escape),
        "## The difference",
        _fence(diff_candidates(result.seed, result.winner)),
        f"Spent: {escape(_describe_spent(report))}. Intervals are 95%; differences are paired by case.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def render_search_html(report: SearchReport) -> str:
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    from workbench.reports import charts

    result = report.result
    points = [
        charts.Point(f"{name}, {part}", found.value, found.low, found.high, 0.0, name == "winner", "")
        for part, scores in list_parts(result)
        for name, found in (("hand-written", scores.seed), ("winner", scores.winner))
    ]
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=lambda value: sanitize(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    head, rows = _tabulate(result)
    metric = name_metric(result.metric)
    return environment.from_string(files.read_text(Path(__file__).with_name("search.html.jinja"))).render(
        style=Markup(files.read_text(Path(charts.__file__).with_name("report.css"))),
        title=report.title,
        outcome=describe_outcome(result),
        head=head,
        rows=rows,
        reasons=list(list_reasons(result)),
        effects=[describe_effect(one, result.free) for one in result.effects],
        intervals=charts.draw_intervals(points, metric, not result.free) if points else "",
        lineage=_describe_lineage(report),
        diff=diff_candidates(result.seed, result.winner),
        spent=_describe_spent(report),
    )


def find_search_format(path: Path) -> Callable[[SearchReport], str]:
    """The writer of the path's suffix. Raises SearchError for one that there is not."""
    chosen = SEARCH_FORMATS.get(path.suffix.lower())
    if chosen is None:
        raise SearchError(
            f"{path}: the report of a search has no format with the suffix {path.suffix or '(none)'}.",
            f"Choose one of {', '.join(SEARCH_FORMATS)}.",
        )
    return chosen


def write_search_report(report: SearchReport, path: Path) -> None:
    """Write a report in the format of the path's suffix. Raises SearchError and FileError."""
    files.write_text(path, find_search_format(path)(report), durable=False)


def diff_candidates(before: Candidate, after: Candidate) -> str:
    """The changed lines of the body and of the examples, as a unified diff; "" where nothing differs."""
    lines = difflib.unified_diff(_list_lines(before), _list_lines(after), before.id, after.id, lineterm="", n=2)
    return "\n".join(lines)


def list_ancestors(state: SearchState, candidate: Candidate) -> list[Candidate]:
    """The candidates that led to this one, the seed first."""
    found = [candidate]
    while found[-1].parent in state.candidates and len(found) <= len(state.candidates):
        found.append(state.candidates[found[-1].parent])
    return found[::-1]


def _list_lines(candidate: Candidate) -> list[str]:
    shown = [
        f"example {one.id}: {' '.join(' '.join(one.variables.values()).split())} -> {one.answer.strip()}"
        for one in candidate.examples
    ]
    reasoning = [] if candidate.thinking == "default" else [f"reasoning: {candidate.thinking}"]
    return [*candidate.body.splitlines(), *shown, *reasoning]


def _describe_lineage(report: SearchReport) -> list[str]:
    lines = []
    for one in list_ancestors(report.state, report.result.winner):
        score = report.state.score(one.id)
        if score is not None and report.result.lower_is_better:
            score = -score
        figure = "" if score is None else f", {score:.3f} on {_name_cases(report.state, one.id)}"
        lines.append(f"{one.id}{figure}: {one.reason or 'the hand-written prompt'}")
    return lines


def _name_cases(state: SearchState, candidate: str) -> str:
    """`dev`, or how much of it a candidate answered that was dropped before the end."""
    total = state.started.parts.get("dev", 0) if state.started else 0
    answered = len(state.results(candidate))
    return "dev" if answered >= total else f"{answered:,} of {total:,} dev cases"


def _tabulate(result: SearchResult) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    head = ("", "cases", "hand-written", "winner", "difference", "p", "p corrected")
    rows: list[tuple[str, ...]] = [
        (
            part,
            f"{one.n:,}",
            describe_estimate(result, one.seed),
            describe_estimate(result, one.winner),
            describe_difference(result, one),
            format_p(one.p),
            f"{format_p(one.p_corrected)} ({'candidates' if part == 'dev' else 'openings'}: {one.family:,})",
        )
        for part, one in list_parts(result)
    ]
    return head, rows


def _describe_spent(report: SearchReport) -> str:
    started = report.state.started
    return describe_spending(report.result.spending, started.request.budget if started else SearchBudget())


def _list(lines: Sequence[str], escape: Callable[[str], str]) -> str:
    return "\n".join(f"- {escape(line)}" for line in lines)


def _fence(text: str) -> str:
    if not text:
        return "None: the hand-written prompt stays."
    mark = "````" if "```" in text else "```"
    return f"{mark}diff\n{sanitize(text)}\n{mark}"


def _render_table(head: Sequence[str], rows: Sequence[Sequence[str]], escape: Callable[[str], str]) -> str:
    lines = [[escape(cell) for cell in head], ["---", *["---:"] * (len(head) - 1)], *([*map(escape, r)] for r in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


SEARCH_FORMATS: dict[str, Callable[[SearchReport], str]] = {
    ".html": render_search_html,
    ".md": render_search_markdown,
    ".json": render_search_json,
}
"""By the suffix of the file."""
