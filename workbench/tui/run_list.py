"""Run list: the runs in the store as a picker shows them.

Knows nothing of what is done with the chosen one.
"""

from __future__ import annotations

from datetime import datetime

from workbench.store.runs import Run, list_runs
from workbench.store.store import Store
from workbench.tui.dialogs.picker import Choice


def list_choices(store: Store) -> list[Choice]:
    """Every run, the newest first."""
    return [describe_run(run) for run in list_runs(store)]


def describe_run(run: Run) -> Choice:
    """When a run was, of which bench, how far it came, what a person noted."""
    when = datetime.fromtimestamp(run.started).strftime("%Y-%m-%d %H:%M")
    state = "" if run.state == "finished" else f", {run.state} at {run.done / run.total:.0%}" if run.total else ""
    failed = f", {run.failed:,} failed" if run.failed else ""
    pinned = "  baseline" if run.pinned else ""
    note = f"  {run.note}" if run.note else ""
    return Choice(run.id, f"{run.id}  {run.bench}", f"{when}, {run.total:,} cells{state}{failed}{pinned}{note}")
