"""`workbench runs`: stored runs and their results. A deleted run stays in the trash until that is emptied."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from workbench.cli import terminal
from workbench.cli.options import Csv, Json, Markdown, Reports, StoreFile
from workbench.cli.services import open_store
from workbench.errors import WorkbenchError
from workbench.units import format_date, format_plural

if TYPE_CHECKING:
    from workbench.store.runs import Run
    from workbench.store.store import Store


_SCORED = 50
"""runs of the list, from the newest, that are shown with their scores"""


class _Change(NamedTuple):
    """What to change about a run; None and False leave it as it is."""

    pin: bool = False
    unpin: bool = False
    rename: str | None = None
    note: str | None = None
    delete: bool = False
    restore: bool = False


def main(
    run: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN | merge PART…",
            help="Run ID (a prefix is enough), `last`, `last~1`, or `baseline`; or `merge` and the runs to merge.",
        ),
    ] = None,
    pin: Annotated[bool, typer.Option("--pin", help="Make it the baseline for comparisons.")] = False,
    unpin: Annotated[bool, typer.Option("--unpin", help="Stop using it as the baseline.")] = False,
    rename: Annotated[str | None, typer.Option(metavar="NAME", help="Rename it.")] = None,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="Set its note.")] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Move it to the trash.")] = False,
    restore: Annotated[bool, typer.Option("--restore", help="Restore it from the trash.")] = False,
    trash: Annotated[bool, typer.Option("--trash", help="List the trash.")] = False,
    empty_trash: Annotated[
        bool, typer.Option("--empty-trash", help="Delete everything in the trash for good.")
    ] = False,
    slices: Annotated[
        list[str] | None,
        typer.Option("--slice", metavar="COLUMN", help="Scores by the values of a column of the cases. Repeatable."),
    ] = None,
    json: Json = False,
    csv: Csv = False,
    markdown: Markdown = False,
    report: Reports = None,
    store: StoreFile = None,
) -> None:
    """List the runs, show the results of one, or merge several.

    Output formats are those of `workbench eval`.

    `merge` makes one run of parts, such as the shards of `workbench eval --shard`. A part is a store's file (FILE:RUN
    where it has several runs) or a run of this store. Parts must be of the same bench, data, prompts and models. A cell
    that several parts have must have the same result in each; otherwise nothing is merged.

    \b
      workbench runs                         all runs, latest first
      workbench runs last                    results of the latest
      workbench runs last --slice language   the same by the values of a column
      workbench runs last~1 --report old.html   a report of the one before
      workbench runs 1ieuo0 --pin            use it as the baseline
      workbench runs 1ieuo0 --note "new examples"
      workbench runs 1ieuo0 --delete         to the trash; undo with --restore
      workbench runs --empty-trash
      workbench runs merge demo.1-of-2.sqlite demo.2-of-2.sqlite

    \b
    Exit codes: 0 success; 2 no such run, or the parts cannot be merged. With merge
    also 1: cells are missing or failed, or a threshold was missed.
    """
    from workbench.cli.results import Formats

    formats = Formats(json, csv, markdown, tuple(report or ()))
    formats.check()
    change = _Change(pin, unpin, rename, note, delete, restore)
    first, *others = run or [""]
    if first == "merge":
        if change != _Change(note=note):
            raise WorkbenchError("Of the changes to a run, merge takes --note alone.", "Change the merged run.")
        raise typer.Exit(_merge(others, note or "", formats, store))
    if others:
        raise WorkbenchError(f"Expected one run, found {1 + len(others)}.", "To merge runs: workbench runs merge PART…")
    if not first and change != _Change():
        raise WorkbenchError("Expected a run.", "`workbench runs` lists them; `last` is the latest.")
    with open_store(store) as opened:
        if empty_trash:
            _empty_trash(opened)
        elif not first:
            _list(opened, trash, json)
        elif change != _Change():
            _change(opened, first, change)
        else:
            _show(opened, first, formats, tuple(slices or ()))


def _merge(parts: list[str], note: str, formats: Any, store: Path | None) -> int:
    from workbench.cli.merge import merge

    with open_store(store) as opened:
        return merge(opened, parts, note, formats)


def _show(store: Store, wanted: str, formats: Any, slices: tuple[str, ...]) -> None:
    from workbench.analysis.summary import summarize
    from workbench.cli.results import report
    from workbench.runs.view import RunView

    view = RunView(store, wanted)
    terminal.log(_describe_line(view.run))
    summary = summarize(view, slices)
    if unknown := [table.column for table in summary.slices if table.column in slices and not table.slices]:
        known = ", ".join(next((tuple(case.variables) for case in view.cases()), ())) or "none"
        raise WorkbenchError(f"No case of run {view.id} has a column {unknown[0]!r}.", f"The columns are: {known}.")
    report(view, summary, formats)


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
    state = "moved to the trash" if change.delete else "restored" if change.restore else "changed"
    terminal.log(f"Run {run.id}: {state}.")


def _empty_trash(store: Store) -> None:
    from workbench.store.runs import erase_removed

    erased = erase_removed(store)
    terminal.log(
        f"Deleted {format_plural(len(erased), 'run')}: {', '.join(erased)}." if erased else "The trash is empty."
    )


def _check_idle(run: Run) -> None:
    from workbench.runs.view import actual_state

    if actual_state(run) == "running":
        raise WorkbenchError(f"Run {run.id} is still running.", "Stop it first.")


def _list(store: Store, trash: bool, json: bool) -> None:
    from workbench.store.damage import describe_damaged_runs
    from workbench.store.runs import list_runs

    runs = list_runs(store, trash)
    if damaged := describe_damaged_runs(store):
        terminal.log(damaged)
    if json:
        import msgspec

        listed = {"runs": [_describe(run) | {"scores": dict(scores)} for run, scores in _add_scores(store, runs)]}
        terminal.write_json(msgspec.json.format(msgspec.json.encode(listed)).decode() + "\n")
    elif runs:
        _print(_add_scores(store, runs))
    else:
        terminal.log("The trash is empty." if trash else "No runs yet. Start one with: workbench eval")


def _add_scores(store: Store, runs: list[Run]) -> list[tuple[Run, list[tuple[str, float]]]]:
    """Each run with the mean score of its variants by its first metric; only the newest, for each takes a query."""
    from workbench.store.cell_figures import read_mean_scores

    return [(run, read_mean_scores(store, run.key) if at < _SCORED else []) for at, run in enumerate(runs)]


def _describe(run: Run) -> dict[str, Any]:
    from workbench.runs.view import actual_state

    kept = ("id", "bench", "note", "pinned", "started", "finished", "total", "done", "failed", "cached", "dataset")
    return {**{name: getattr(run, name) for name in kept}, "state": actual_state(run)}


def _print(runs: list[tuple[Run, list[tuple[str, float]]]]) -> None:
    from workbench.cli.table import console, make_table, show
    from workbench.runs.view import actual_state

    table = make_table(
        ["run", "bench", "started", "state", "cells", "failed", "cached", "scores", "note"],
        ["cells", "failed", "cached"],
    )
    for run, scores in runs:
        state = actual_state(run)
        cells = f"{run.done:,}" if run.done == run.total else f"{run.done:,}/{run.total:,}"
        name = f"{run.bench} (baseline)" if run.pinned else run.bench
        means = "\n".join(f"{variant} {mean:.2f}" for variant, mean in scores)
        counts = [cells, f"{run.failed:,}", f"{run.cached:,}"]
        row = [run.id, name, format_date(run.started), state, *counts, means, run.note]
        table.add_row(*(show(text) for text in row))
    console().print(table)
    if len(runs) > _SCORED:
        terminal.log(
            f"Scores are shown for the latest {format_plural(_SCORED, 'run')}; `workbench runs RUN` shows those of any."
        )


def _describe_line(run: Run) -> str:
    from workbench.runs.view import actual_state

    note = f" - {run.note}" if run.note else ""
    cells = f"{run.done:,} of {run.total:,} cells"
    return f"Run {run.id} of {run.bench}, {format_date(run.started)}: {actual_state(run)}, {cells}{note}"
