"""`workbench runs`: what was run, and what came of it.

Knows nothing of how a run is carried out. A run that is deleted lies in the trash until that is emptied.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from workbench.cli import terminal
from workbench.cli.tools import open_store
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.store.runs import Run
    from workbench.store.store import Store


class _Change(NamedTuple):
    """What to do with a run; None and False leave it as it is."""

    pin: bool = False
    unpin: bool = False
    rename: str | None = None
    note: str | None = None
    delete: bool = False
    restore: bool = False


def main(
    run: Annotated[
        str, typer.Argument(metavar="[RUN]", help="An id or its beginning, last, last~1, or baseline.")
    ] = "",
    pin: Annotated[bool, typer.Option("--pin", help="Make it the baseline that others are compared with.")] = False,
    unpin: Annotated[bool, typer.Option("--unpin", help="Let it be a baseline no longer.")] = False,
    rename: Annotated[str | None, typer.Option(metavar="NAME", help="Call it something else.")] = None,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="Keep a word of your own with it.")] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Put it into the trash.")] = False,
    restore: Annotated[bool, typer.Option("--restore", help="Take it out of the trash.")] = False,
    trash: Annotated[bool, typer.Option("--trash", help="List what is in the trash.")] = False,
    empty_trash: Annotated[bool, typer.Option("--empty-trash", help="Delete what is in the trash for good.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print every cell of the run as CSV.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the run's results as Markdown.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a report with charts, in one file.")] = None,
    parquet: Annotated[Path | None, typer.Option(metavar="FILE", help="Write every cell as Parquet.")] = None,
) -> None:
    """List the runs, or show one with its results.

    Results come in the forms that `workbench eval` knows.

    \b
      workbench runs                         all of them, the newest first
      workbench runs last                    the results of the newest
      workbench runs last~1 --html old.html  a report of the one before
      workbench runs 1ieuo0 --pin            make it the baseline
      workbench runs 1ieuo0 --note "new examples"
      workbench runs 1ieuo0 --delete         into the trash; --restore takes it back
      workbench runs --empty-trash

    \b
    Exit codes: 0 all went well; 2 there is no such run.
    """
    from workbench.cli.results import Formats

    formats = Formats(json, csv, markdown, html, parquet)
    formats.check()
    change = _Change(pin, unpin, rename, note, delete, restore)
    if not run and change != _Change():
        raise WorkbenchError("Say which run is meant.", "`workbench runs` lists them; `last` is the newest.")
    with open_store() as store:
        if empty_trash:
            _empty_trash(store)
        elif not run:
            _list(store, trash, json)
        elif change != _Change():
            _change(store, run, change)
        else:
            _show(store, run, formats)


def _show(store: Store, wanted: str, formats: Any) -> None:
    from workbench.cli.results import report
    from workbench.evaluation.summary import summarize
    from workbench.evaluation.view import RunView

    view = RunView(store, wanted)
    terminal.say(_tell(view.run))
    report(view, summarize(view), formats)


def _change(store: Store, wanted: str, change: _Change) -> None:
    from workbench.store.runs import change_run, find_run, remove_run, restore_run

    run = find_run(store, wanted, removed=change.restore)
    values: dict[str, Any] = {}
    if change.pin or change.unpin:
        values["pinned"] = change.pin
    if change.rename is not None:
        values["bench"] = change.rename
    if change.note is not None:
        values["note"] = change.note
    if values:
        change_run(store, run.key, **values)
    if change.delete:
        _check_idle(run)
        remove_run(store, run.key)
    if change.restore:
        restore_run(store, run.key)
    told = "is in the trash" if change.delete else "is back" if change.restore else "is changed"
    terminal.say(f"Run {run.id} {told}.")


def _empty_trash(store: Store) -> None:
    from workbench.store.runs import erase_removed

    erased = erase_removed(store)
    terminal.say(f"Erased {len(erased)} runs: {', '.join(erased)}." if erased else "The trash is empty.")


def _check_idle(run: Run) -> None:
    from workbench.evaluation.owner import actual_state

    if actual_state(run) == "running":
        raise WorkbenchError(f"Run {run.id} is being carried out.", "Stop it first.")


def _list(store: Store, trash: bool, json: bool) -> None:
    from workbench.store.damage import describe_damaged_runs
    from workbench.store.runs import list_runs

    runs = list_runs(store, trash)
    if damaged := describe_damaged_runs(store):
        terminal.say(damaged)
    if json:
        import msgspec

        listed = {"runs": [_describe(run) for run in runs]}
        terminal.write_json(msgspec.json.format(msgspec.json.encode(listed)).decode() + "\n")
    elif runs:
        _print(runs)
    else:
        terminal.say("The trash is empty." if trash else "Nothing was run yet. Begin with: workbench eval")


def _describe(run: Run) -> dict[str, Any]:
    from workbench.evaluation.owner import actual_state

    kept = ("id", "bench", "note", "pinned", "started", "finished", "total", "done", "failed", "cached", "dataset")
    return {**{name: getattr(run, name) for name in kept}, "state": actual_state(run)}


def _print(runs: list[Run]) -> None:
    from workbench.cli.table import console, make_table, show
    from workbench.evaluation.owner import actual_state

    table = make_table(
        ["run", "bench", "started", "state", "cells", "failed", "known", "note"], ["cells", "failed", "known"]
    )
    for run in runs:
        state = actual_state(run)
        cells = f"{run.done:,}" if run.done == run.total else f"{run.done:,}/{run.total:,}"
        name = f"{run.bench} (baseline)" if run.pinned else run.bench
        row = [run.id, name, _date(run.started), state, cells, f"{run.failed:,}", f"{run.cached:,}", run.note]
        table.add_row(*(show(text) for text in row))
    console().print(table)


def _tell(run: Run) -> str:
    from workbench.evaluation.owner import actual_state

    note = f" - {run.note}" if run.note else ""
    cells = f"{run.done:,} of {run.total:,} cells"
    return f"Run {run.id} of {run.bench}, {_date(run.started)}: {actual_state(run)}, {cells}{note}"


def _date(seconds: float) -> str:
    import time

    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
