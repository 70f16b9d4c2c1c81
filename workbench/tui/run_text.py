"""Run text: a run in words: its plan, its row in the list of runs, what changed since an earlier one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from workbench.analysis.baseline import CaseChange, RunComparison, VariantComparison
from workbench.analysis.narrative import describe_comparison
from workbench.runs.plan import Plan
from workbench.runs.plan_memory import describe_memory
from workbench.store.runs import Run
from workbench.tui.widgets.picker import PickerRow
from workbench.units import format_bytes, format_date, format_duration, format_plural

LONG_SECONDS = 60.0
MANY_CELLS = 5_000
_MOST = 40
"""cases that are listed"""


def is_long(plan: Plan) -> bool:
    """Whether a run should ask before it starts: it takes long, or has many cells and no estimate."""
    left = plan.cells - plan.done - plan.cached
    return left > MANY_CELLS if plan.seconds is None else plan.seconds > LONG_SECONDS


def describe_plan(plan: Plan) -> str:
    """What a run is about to do, in a few lines."""
    about = "about " if plan.estimated else ""
    lines = [
        f"{format_plural(plan.cases, 'case')} × {format_plural(plan.variants, 'variant')}"
        + (f" × {plan.repeats}" if plan.repeats > 1 else "")
    ]
    lines.append(f"{format_plural(plan.cells, 'cell')}, {plan.done:,} done, {about}{plan.cached:,} cached")
    for model in plan.models:
        sizes = [format_bytes(model.memory_bytes)]
        sizes += [f"{format_bytes(share.bytes)} on {share.device.name}" for share in model.shares]
        cells = format_plural(model.cells, "cell")
        lines.append(f"{model.model}: {cells} ({', '.join(model.variants)}), {', '.join(sizes)}")
    lines.append(f"time: about {format_duration(plan.seconds)}" if plan.seconds is not None else "time: unknown")
    lines += describe_memory(plan.memory_bytes, plan.free_bytes, [one for model in plan.models for one in model.shares])
    return "\n".join([*lines, *plan.problems])


def describe_run(run: Run, scores: Sequence[tuple[str, float]] = ()) -> PickerRow:
    """When a run was, of which bench, how its variants scored by the first metric, how far it got, its note."""
    when = format_date(run.started)
    state = "" if run.state == "finished" else f", {run.state} at {run.done / run.total:.0%}" if run.total else ""
    failed = f", {run.failed:,} failed" if run.failed else ""
    pinned = "  baseline" if run.pinned else ""
    note = f"  {run.note}" if run.note else ""
    scored = f"  {', '.join(f'{name} {value:.2f}' for name, value in scores)}" if scores else ""
    progress = f"{format_plural(run.total, 'cell')}{state}{failed}"
    return PickerRow(run.id, f"{run.id}  {run.bench}", f"{when}, {progress}{pinned}{note}{scored}")


def describe_changes(comparison: RunComparison) -> str:
    """The outcome in words, then the cases that changed, variant by variant."""
    return "\n".join([describe_comparison(comparison), *(line for one in comparison.variants for line in _list(one))])


def _list(one: VariantComparison) -> Iterator[str]:
    yield ""
    yield f"{one.name}: {len(one.fixed)} fixed, {len(one.broken)} broken, {one.unchanged} unchanged"
    yield from _name("fixed", one.fixed)
    yield from _name("broken", one.broken)


def _name(what: str, changes: tuple[CaseChange, ...]) -> Iterator[str]:
    if changes:
        more = f" and {len(changes) - _MOST} more" if len(changes) > _MOST else ""
        yield f"  {what}: cases {', '.join(str(change.case) for change in changes[:_MOST])}{more}"
