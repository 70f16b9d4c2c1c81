"""The cases of an HTML report: input, each variant's answer, its scores.

A page holds so many cases and no more; those on which the variants differ come first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from workbench.analysis.narrative import name_metric
from workbench.inference.types import show_counts
from workbench.runs.cell import Cell
from workbench.runs.cell_step import describe_step
from workbench.runs.matrix_rows import Filter
from workbench.runs.view import RunView
from workbench.scoring.scorer import Score
from workbench.units import format_duration

MAX_CASES = 1_000
_MAX_TEXT_CHARS = 4_000  # characters of a text
_PREVIEW = 120
_GLIMPSE = 40


class CaseMark(NamedTuple):
    """A variant's outcome in one sign, and the beginning of its answer."""

    sign: str
    tone: str
    title: str
    text: str = ""


class ReportScore(NamedTuple):
    sign: str
    tone: str
    message: str


class ReportAnswer(NamedTuple):
    variant: str
    text: str
    error: str
    scores: list[ReportScore]
    facts: str


class ReportCase(NamedTuple):
    """kinds: by which the page can filter, separated by spaces."""

    number: int
    preview: str
    expected: str | None
    variables: list[tuple[str, str]]
    marks: list[CaseMark]
    answers: list[ReportAnswer]
    kinds: str


class CaseList(NamedTuple):
    cases: list[ReportCase]
    note: str


def list_cases(view: RunView, most: int = MAX_CASES) -> CaseList:
    total = view.run.cases
    if total <= most:
        numbers = [case.number for case in view.cases()]
        note = f"All {total:,} cases."
    else:
        numbers = sorted(_choose(view, most))
        note = f"{len(numbers):,} of {total:,} cases, those on which the variants differ before others; CSV has all."
    return CaseList([_show(view, number) for number in numbers], f"{note} Open one to read the answers.")


def _choose(view: RunView, most: int) -> set[int]:
    chosen: dict[int, None] = {}
    for filter in (Filter("different"), Filter()):
        for row in view.rows(filter, limit=most):
            if len(chosen) < most:
                chosen[row.number] = None
    return set(chosen)


def _show(view: RunView, number: int) -> ReportCase:
    case = view.case(number)
    cells = [(name, list(_read(view, name, number))) for name in view.variants]
    variables = [(name, _cut(text)) for name, text in case.variables.items()]
    preview = " ".join(" ".join(case.variables.values())[: 2 * _PREVIEW].split())[:_PREVIEW]
    metric = view.metrics[0].name if view.metrics else ""
    return ReportCase(
        number,
        preview,
        case.expected,
        variables,
        [_mark(name, own, metric, view) for name, own in cells],
        [_show_answer(name, cell, len(own) > 1, view) for name, own in cells for cell in own],
        " ".join(_name_kinds([own for _, own in cells], metric, view)),
    )


def _read(view: RunView, variant: str, number: int) -> Iterator[Cell]:
    for repeat in range(view.bench.repeats):
        cell = view.cell(variant, number, repeat)
        if cell is not None:
            yield cell


def _name_kinds(cells: list[list[Cell]], metric: str, view: RunView) -> Iterator[str]:
    firsts = [own[0] for own in cells if own]
    if len({cell.completion.text.strip() for cell in firsts if not cell.error}) > 1:
        yield "different"
    if any(cell.error for own in cells for cell in own):
        yield "error"
    if any(
        _judge(score, view) == "worse"
        for own in cells
        for cell in own
        for score in cell.scores
        if score.scorer == metric
    ):
        yield "failure"


def _mark(variant: str, cells: list[Cell], metric: str, view: RunView) -> CaseMark:
    if not cells:
        return CaseMark("·", "note", f"{variant}: not run")
    if any(cell.error for cell in cells):
        return CaseMark("!", "error", f"{variant}: {cells[0].error}", "failed")
    preview_text = " ".join(cells[0].completion.text[: 2 * _GLIMPSE].split())[:_GLIMPSE]
    scores = [score for cell in cells for score in cell.scores if score.scorer == metric and score.applies]
    if not scores:
        return CaseMark("–", "note", f"{variant}: no score", preview_text)
    sign = _sign(scores[0], view) if len(scores) == 1 else f"{sum(one.value for one in scores) / len(scores):.2g}"
    tone = _judge(scores[0], view) if len(scores) == 1 else ""
    return CaseMark(sign, tone, f"{variant}: {scores[0].explanation}", preview_text)


def _show_answer(variant: str, cell: Cell, repeated: bool, view: RunView) -> ReportAnswer:
    done = cell.completion
    name = f"{variant}, repeat {cell.repeat + 1}" if repeated else variant
    scores = [
        ReportScore(_sign(score, view), _judge(score, view), f"{name_metric(score.scorer)}: {_cut(score.explanation)}")
        for score in cell.scores
        if score.applies
    ]
    time = "from the cache" if cell.cached else format_duration(done.elapsed_seconds)
    facts = f"{show_counts(done, ' → ')} tokens, {time}, {done.stop_reason or 'no end'}"
    facts += ", deterministic" if done.deterministic else ""
    facts += "".join(f"; {step.label}: {describe_step(step)}" for step in cell.steps)
    return ReportAnswer(name, _cut(done.text), f"{cell.error} {cell.hint}".strip(), scores, facts)


def _sign(score: Score, view: RunView) -> str:
    tone = _judge(score, view)
    return {"better": "✓", "worse": "✗"}.get(tone) or f"{score.value:.3g}"


def _judge(score: Score, view: RunView) -> str:
    """Right and wrong have a tone; other numbers speak for themselves."""
    metric = next((one for one in view.metrics if one.name == score.scorer), None)
    if metric is None or not metric.binary or not score.applies:
        return ""
    return "better" if score.value > 0.5 else "worse"


def _cut(text: str) -> str:
    return (
        text
        if len(text) <= _MAX_TEXT_CHARS
        else f"{text[:_MAX_TEXT_CHARS]}… ({len(text) - _MAX_TEXT_CHARS:,} more characters)"
    )
