"""JUnit report: a run's cells as tests: a suite for each variant with a test for each case, and one of thresholds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from workbench.analysis.narrative import name_metric
from workbench.analysis.summary import Summary
from workbench.analysis.thresholds import find_misses
from workbench.errors import BenchError
from workbench.reports.junit import JunitCase, Suite, render_suites
from workbench.reports.registry import report
from workbench.runs.bench import list_thresholds
from workbench.runs.cell import Cell
from workbench.runs.view import RunView

_SHOWN = 300  # characters of an answer


@report(".xml", "JUnit XML", "every case as a test, for a CI system")
def write_junit(view: RunView, summary: Summary, stream: TextIO) -> None:
    """A case passes where its first metric reaches what counts as right: 1 for one of right and wrong, else the
    threshold of the scorer; without one, where it has a score at all."""
    bench = summary.bench or view.run.bench
    suites: dict[str, list[JunitCase]] = {name: [] for name in view.variants}
    repeats = view.bench.repeats
    for cell in view.cells():
        suites[cell.variant].append(_to_case(view, cell, f"{bench}.{cell.variant}", repeats))
    found = [Suite(f"{bench}: {name}", tuple(cases)) for name, cases in suites.items()]
    if held := tuple(_check_thresholds(view, summary, bench)):
        found.append(Suite(f"{bench}: thresholds", held))
    stream.write(render_suites(tuple(found)))


def _to_case(view: RunView, cell: Cell, group: str, repeats: int) -> JunitCase:
    name = f"case {cell.case}" + (f", repeat {cell.repeat + 1}" if repeats > 1 else "")
    seconds = 0.0 if cell.cached else cell.completion.elapsed_seconds
    case = JunitCase(name, group, seconds)
    if cell.error:
        return case._replace(error=f"{cell.error} {cell.hint}".strip())
    if not view.metrics:
        return case
    metric, limit = view.metrics[0], view.pass_limit
    score = next((score for score in cell.scores if score.scorer == metric.name), None)
    if score is None or not score.applies:
        reason = score.explanation if score else ""
        return case._replace(skipped=f"No {name_metric(metric.name)}. {reason}".strip())
    missed = limit is not None and (score.value > limit if metric.lower_is_better else score.value < limit)
    if not missed:
        return case
    answer = cell.completion.text.strip()
    shown = answer if len(answer) <= _SHOWN else f"{answer[:_SHOWN]}…"
    words = f"{name_metric(metric.name)} {score.value:.4g}. {score.explanation}".strip()
    return case._replace(failure=f"{words}\nAnswer: {shown}")


def _check_thresholds(view: RunView, summary: Summary, bench: str) -> Iterator[JunitCase]:
    """A test for each threshold of the bench and variant that it asks for."""
    try:
        missed = {(one.metric, one.variant, one.wanted): one for one in find_misses(view.bench, summary)}
    except BenchError as error:
        yield JunitCase("thresholds", f"{bench}.thresholds", error=error.message)
        return
    for metric, threshold in list_thresholds(view.bench):
        limits = [(threshold.min, "at least"), (threshold.max, "at most")]
        wanted = [f"{word} {limit:g}" for limit, word in limits if limit is not None]
        for variant in summary.variants:
            if threshold.variant not in ("", variant.name):
                continue
            for text in wanted:
                case = JunitCase(f"{metric} of {variant.name}: {text}", f"{bench}.thresholds")
                miss = missed.get((metric, variant.name, text))
                if miss is None:
                    yield case
                else:
                    yield case._replace(failure=str(miss)) if miss.measured else case._replace(skipped=str(miss))
