"""Drift: one bench over its runs: how each variant's value moved, and whether it fell beyond noise.

Knows nothing of what changed in between.
"""

from __future__ import annotations

import msgspec

from workbench.errors import StoreError, WorkbenchError
from workbench.evaluation.changes import VariantChanges, compare_runs
from workbench.evaluation.measurements import read_table
from workbench.evaluation.summarizing import estimate
from workbench.evaluation.summary import Estimate
from workbench.evaluation.view import Metric, RunView
from workbench.store.runs import Run, list_runs
from workbench.store.store import Store

_LONGEST = 30  # runs; older ones say little, and each has to be read


class DriftPoint(msgspec.Struct, frozen=True):
    """One run. values: variant -> its value. changes: variant -> what moved since the baseline, on shared cases."""

    run: str
    started: float
    note: str
    values: dict[str, Estimate]
    changes: dict[str, VariantChanges]


class Drift(msgspec.Struct, frozen=True):
    """points: oldest first. baseline: the pinned run, or the oldest shown."""

    bench: str
    metric: Metric
    baseline: str
    points: tuple[DriftPoint, ...]

    @property
    def fallen(self) -> tuple[str, ...]:
        """The variants whose newest value is worse than the baseline's beyond noise."""
        newest = next((point for point in reversed(self.points) if point.run != self.baseline), None)
        return tuple(name for name, one in newest.changes.items() if one.verdict == "worse") if newest else ()


def read_drift(store: Store, bench: str = "", metric: str = "", last: int = _LONGEST) -> Drift:
    """The finished runs of a bench, the newest one's unless named, and how they compare with its baseline.

    Raises StoreError when there is none.
    """
    runs = [run for run in list_runs(store) if run.done]
    bench = bench or (runs[0].bench if runs else "")
    own = [run for run in runs if run.bench == bench]
    if not own:
        known = ", ".join(dict.fromkeys(run.bench for run in runs)) or "none"
        raise StoreError(f"No run of {bench or 'any bench'} is in the store.", f"There are runs of: {known}.")
    chosen = _choose(own, last)
    baseline = RunView(store, next((run for run in chosen if run.pinned), chosen[0]).id)
    kind = next((one for one in baseline.metrics if metric in ("", one.name)), None)
    if kind is None:
        raise StoreError(f"Run {baseline.id} has no metric {metric!r}.", "Leave it out to see the first.")
    points = tuple(_read(RunView(store, run.id), run, baseline, kind) for run in chosen)
    return Drift(bench, kind, baseline.id, points)


def _choose(runs: list[Run], last: int) -> list[Run]:
    """The newest ones and the pinned one, oldest first."""
    newest = runs[:last]
    pinned = next((run for run in runs if run.pinned), None)
    return sorted({run.id: run for run in (*newest, *([pinned] if pinned else []))}.values(), key=lambda run: run.id)


def _read(view: RunView, run: Run, baseline: RunView, metric: Metric) -> DriftPoint:
    if metric.name not in [one.name for one in view.metrics]:
        return DriftPoint(run.id, run.started, run.note, {}, {})
    table = read_table(view, metric.name)
    found = {name: one for name, one in zip(view.variants, estimate(table, metric), strict=True) if one.n}
    try:
        changes = compare_runs(baseline, view, metric.name).variants if run.id != baseline.id else ()
    except WorkbenchError:
        changes = ()  # nothing in common with the baseline: it stands in the series by itself
    return DriftPoint(run.id, run.started, run.note, found, {one.name: one for one in changes})
