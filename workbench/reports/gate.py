"""A gate as Markdown, for a comment on a pull request, and as JUnit XML, for the test tab of a CI system."""

from __future__ import annotations

import math
from collections.abc import Iterator

from workbench.analysis.gate import Gate
from workbench.analysis.margin_result import MarginResult
from workbench.analysis.narrative import name_metric
from workbench.reports.junit import JunitCase, Suite, render_suites
from workbench.reports.markdown import escape
from workbench.units import format_number, format_plural

_MOST_NAMED = 20
SIGNS = {"better": "▲", "not worse": "✓", "worse": "▼", "not enough cases": "?", "incomplete": "!"}


def describe_gate(gate: Gate) -> str:
    """The outcome in one sentence."""
    against = f"{name_metric(gate.metric.name)} against run {gate.baseline_run} of {gate.baseline_date}"
    if gate.passed:
        return f"Passed: {against}, nothing lost more than the margin of {gate.margin:g}."
    named = ", ".join(one.variant for one in gate.results if not one.passed)
    if gate.undecided:
        return f"Not enough cases to tell: {against}; {named}."
    return f"Failed: {against}; {named}."


def list_notes(gate: Gate) -> Iterator[str]:
    """What a reader of the table has to know."""
    if gate.cases_gone:
        yield f"Not in the run: {format_plural(gate.cases_gone, 'case')} of the baseline."
    if gate.cases_new:
        yield f"Not in the baseline, and not counted: {format_plural(gate.cases_new, 'case')}."
    if gate.variants_new:
        yield f"Not in the baseline: {', '.join(gate.variants_new)}."


def list_row(one: MarginResult) -> list[str]:
    """Variant, outcome, before, after, gain, interval, cases."""
    interval = "–" if math.isnan(one.low) else f"{one.low:+.3f} to {one.high:+.3f}"
    numbers = [format_number(one.before), format_number(one.after), format_number(one.gain, signed=True)]
    return [one.variant, f"{SIGNS[one.outcome]} {one.outcome}", *numbers, interval, f"{one.n:,}"]


HEAD = ["variant", "outcome", "before", "now", "gain", "95%", "cases"]


def render_gate(gate: Gate) -> str:
    """As Markdown."""
    sign = "✅" if gate.passed else "❔" if gate.undecided else "❌"
    rows = [HEAD, ["---"] * len(HEAD), *([escape(cell) for cell in list_row(one)] for one in gate.results)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    reasons = "\n".join(f"- {escape(one.variant)}: {escape(_explain(one))}" for one in gate.results)
    notes = "\n".join(f"- {escape(note)}" for note in list_notes(gate))
    parts = [f"### {sign} {escape(gate.bench)}", escape(describe_gate(gate)), table, reasons, notes]
    return "\n\n".join(part for part in parts if part) + "\n"


def render_gate_junit(gate: Gate) -> str:
    """As JUnit XML: a test a variant, which fails unless it passed."""
    cases = tuple(
        JunitCase(
            name=f"{one.variant}: {gate.metric.name}",
            classname=gate.bench,
            seconds=0.0,
            failure="" if one.passed else f"{one.outcome}: {_explain(one)}",
        )
        for one in gate.results
    )
    return render_suites((Suite(f"gate {gate.bench}", cases),))


def _explain(one: MarginResult) -> str:
    if not one.broken or one.passed:
        return one.reason
    named = ", ".join(map(str, one.broken[:_MOST_NAMED]))
    more = f" and {len(one.broken) - _MOST_NAMED:,} more" if len(one.broken) > _MOST_NAMED else ""
    return f"{one.reason} Lower now: case {named}{more}."
