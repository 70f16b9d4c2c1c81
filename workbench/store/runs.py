"""Runs: what was carried out, when, and how far it came."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from workbench.errors import StoreError
from workbench.store.damage import list_damaged_runs
from workbench.store.store import Store

State = Literal["running", "stopped", "finished"]
"""stopped: by a person, or by an error that ended it; it can be resumed, as can one whose process is gone."""

_EPOCH = 1_704_067_200  # 2024: six signs last until 2092
_SIGNS = "0123456789abcdefghijklmnopqrstuvwxyz"
_COLUMNS = (
    "id, bench, text, folder, dataset, digest, started, finished, state, total, done, failed, cached, pinned, note,"
    " options, key, cases, version, owner"
)

_NAMES = _COLUMNS.replace(",", " ").split()


class Run(msgspec.Struct, frozen=True):
    """One bench carried out.

    id: short text that sorts by time. bench: the bench's name; text: its YAML as it was run. folder: the bench's, from
        which its paths are resolved. dataset: path; digest: of its content. started, finished: seconds since 1970.
    total, done, failed, cached: cells; `done` counts all that are finished, the failed ones among them.
    note: a person's own words. pinned: a baseline that later runs are compared with.
    options: JSON of how it was asked for. key: the store's own number of it. cases: how many are in the store.
    version: grows with each change of its cells. owner: the process that carries it out.
    """

    id: str
    bench: str
    text: str
    folder: str = ""
    dataset: str = ""
    digest: str = ""
    started: float = 0.0
    finished: float | None = None
    state: State = "running"
    total: int = 0
    done: int = 0
    failed: int = 0
    cached: int = 0
    pinned: bool = False
    note: str = ""
    options: str = "{}"
    key: int = 0
    cases: int = 0
    version: int = 0
    owner: str = ""


class MetricRecord(msgspec.Struct, frozen=True):
    """A scorer as the store keeps it. threshold: below it (above it, where lower is better) a cell counts as a
    failure; None: no value does."""

    name: str
    lower_is_better: bool = False
    binary: bool = False
    free: bool = False
    threshold: float | None = None


def create_run(store: Store, run: Run, variants: Sequence[str], metrics: Sequence[MetricRecord]) -> Run:
    """A new run with its columns; the record, with its id and key."""
    with store.write() as connection:
        moment = int(run.started) - _EPOCH
        while connection.execute("SELECT 1 FROM runs WHERE id = ?", (_write_number(moment),)).fetchone():
            moment += 1
        values = (run.bench, run.text, run.folder, run.dataset, run.digest, run.options, run.started, run.total)
        key = connection.execute(
            "INSERT INTO runs (id, bench, text, folder, dataset, digest, options, started, total, note, owner, state)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'running')",
            (_write_number(moment), *values, run.note, run.owner),
        ).lastrowid
        connection.executemany(
            "INSERT INTO variants (run, position, name) VALUES (?, ?, ?)",
            [(key, index, name) for index, name in enumerate(variants)],
        )
        connection.executemany(
            "INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (key, index, one.name, one.lower_is_better, one.binary, one.free, one.threshold)
                for index, one in enumerate(metrics)
            ],
        )
    assert key is not None
    return get_run(store, key)


def get_run(store: Store, key: int) -> Run:
    """The record as it is now. Raises StoreError when the run was removed for good."""
    rows = store.read(f"SELECT {_COLUMNS} FROM valid_runs WHERE key = ?", (key,))
    if not rows:
        raise StoreError("This run is no longer in the store.", "`workbench runs` lists those that are.")
    return _to_run(rows[0])


def list_runs(store: Store, removed: bool = False) -> list[Run]:
    """Every run, the newest first; with `removed`, those in the trash instead."""
    where = "removed IS NOT NULL" if removed else "removed IS NULL"
    return [_to_run(row) for row in store.read(f"SELECT {_COLUMNS} FROM valid_runs WHERE {where} ORDER BY id DESC")]


def find_run(store: Store, wanted: str, removed: bool = False) -> Run:
    """The run that a person means: an id or the beginning of one, `last`, `last~1` (the one before), `baseline` (the
    pinned one, the newest of several).

    Raises StoreError for none or several.
    """
    runs = list_runs(store, removed)
    back = re.fullmatch(r"last(?:~([0-9]{1,9}))?", wanted)
    if back:
        found = runs[int(back[1] or 0) :][:1]
    elif wanted == "baseline":
        found = [run for run in runs if run.pinned][:1]
    else:
        exact = [run for run in runs if run.id == wanted]
        found = exact or [run for run in runs if wanted and run.id.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        raise StoreError(f"{wanted} begins several runs: {', '.join(run.id for run in found)}.", "Write one sign more.")
    damaged = [name for name in list_damaged_runs(store) if name and wanted and name.startswith(wanted)]
    if damaged:
        raise StoreError(
            f"The record of run {damaged[0]} is damaged and cannot be read.", "`workbench runs` lists others."
        )
    index = "in the trash" if removed else "in the store"
    near = f"the newest are {', '.join(run.id for run in runs[:5])}" if runs else "there is none at all"
    hint = "Pin one: workbench runs --pin RUN" if wanted == "baseline" else "`workbench runs` lists them all."
    raise StoreError(f"No run {index} is called {wanted!r}; {near}.", hint)


def change_run(store: Store, key: int, **values: Any) -> None:
    """Set columns of a run."""
    names = ", ".join(f"{name} = ?" for name in values)
    with store.write() as connection:
        connection.execute(f"UPDATE runs SET {names} WHERE key = ?", (*values.values(), key))


def claim_run(store: Store, run: Run, owner: str) -> Run:
    """Make a process the one that carries a run out. Raises StoreError when another one was quicker."""
    with store.write() as connection:
        claimed = connection.execute(
            "UPDATE runs SET owner = ?, state = 'running', finished = NULL WHERE key = ? AND owner = ?",
            (owner, run.key, run.owner),
        ).rowcount
    if not claimed:
        raise StoreError(f"Run {run.id} has just been taken up by another process.", "Wait for its end.")
    return get_run(store, run.key)


def remove_run(store: Store, key: int) -> None:
    """Put a run into the trash."""
    change_run(store, key, removed=time.time(), pinned=False)


def restore_run(store: Store, key: int) -> None:
    """Take a run out of the trash."""
    change_run(store, key, removed=None)


def erase_removed(store: Store) -> tuple[str, ...]:
    """Delete what is in the trash for good, and the cases that no other run has; the ids. Answers stay: they are what
    later runs need not ask for again."""
    erased = list_runs(store, removed=True)
    with store.write() as connection:
        for run in erased:
            for table in ("scores", "cells", "cases", "metrics", "variants", "votes"):
                connection.execute(f"DELETE FROM {table} WHERE run = ?", (run.key,))
            connection.execute("DELETE FROM runs WHERE key = ?", (run.key,))
        if erased:
            connection.execute("DELETE FROM inputs WHERE key NOT IN (SELECT input FROM cases)")
            connection.execute(
                "DELETE FROM completions WHERE NOT reusable AND key NOT IN"
                " (SELECT completion FROM cells WHERE completion IS NOT NULL)"
            )
    return tuple(run.id for run in erased)


def get_variants(store: Store, key: int) -> tuple[str, ...]:
    """The names of a run's variants, in the person's order. One whose name cannot be read gets another, so that the
    places of those after it stay."""
    names = dict(store.read("SELECT position, name FROM valid_variants WHERE run = ?", (key,)))
    return _fill_positions(names, count_positions(store, "variants", key), "variant")


def get_metrics(store: Store, key: int) -> tuple[MetricRecord, ...]:
    """A run's metrics, in the bench's order; one that cannot be read keeps its place, under another name and without
    values."""
    query = "SELECT position, name, lower_is_better, is_binary, is_free, threshold FROM valid_metrics WHERE run = ?"
    rows = {index: values for index, *values in store.read(query, (key,))}
    names = _fill_positions(
        {index: str(values[0]) for index, values in rows.items()}, count_positions(store, "metrics", key), "metric"
    )
    found = []
    for index, name in enumerate(names):
        _, lower, binary, free, threshold = rows.get(index, (name, 0, 0, 0, None))
        found.append(MetricRecord(name, bool(lower), bool(binary), bool(free), threshold))
    return tuple(found)


def count_positions(store: Store, table: Literal["variants", "metrics"], key: int) -> int:
    """How many places a run's variants or metrics take, those that cannot be read among them."""
    index = "typeof(position) = 'integer' AND position BETWEEN 0 AND 9999"
    ((count,),) = store.read(f"SELECT coalesce(max(position) + 1, 0) FROM {table} WHERE run = ? AND {index}", (key,))
    return int(count)


def _fill_positions(names: Mapping[int, str], count: int, kind: str) -> tuple[str, ...]:
    """The names by their places, each different; the number of a place stands for one that is missing."""
    filled: dict[str, None] = {}
    for index in range(count):
        name = names.get(index, f"{kind} {index + 1} (unreadable)")
        while name in filled:
            name += "*"
        filled[name] = None
    return tuple(filled)


def _to_run(row: tuple[Any, ...]) -> Run:
    values = dict(zip(_NAMES, row, strict=True))
    return Run(**{**values, "pinned": bool(values["pinned"])})


def _write_number(number: int) -> str:
    signs = ""
    for _ in range(6):
        number, rest = divmod(number, len(_SIGNS))
        signs = _SIGNS[rest] + signs
    return signs
