"""Damage: which rows of a run cannot be read, named and counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from workbench.store.store import Store
from workbench.store.validity import sound
from workbench.units import format_subject

_NAMED = 1000
"""damaged rows of one kind that are named; more are counted"""


class DamagedRow(NamedTuple):
    """A row that is left out, or, where only bytes of its text are damaged, shown with a sign in their place.

    The numbers say where it belongs, as far as that can be read: None where it cannot.
    """

    number: int | None = None
    variant: int | None = None
    metric: int | None = None


class Damage(NamedTuple):
    """rows: the first of one kind; total: how many there are."""

    kind: str
    total: int
    rows: tuple[DamagedRow, ...]


_POSITIONS = {
    "variants": "NULL, t.position, NULL",
    "metrics": "NULL, NULL, t.position",
    "cases": "t.number, NULL, NULL",
    "cells": "t.number, t.variant, NULL",
    "scores": "t.number, t.variant, t.metric",
    "votes": "t.number, NULL, NULL",
}


def _is_broken(*columns: str) -> str:
    """That bytes of these texts are no UTF-8, as SQL; one call a row."""
    whole = " || ' ' || ".join(f"coalesce({column}, '')" for column in columns)
    return f"NOT is_utf8(CAST({whole} AS BLOB))"


_TEXTS = {
    "variants": ("valid_variants AS t", _is_broken("t.name")),
    "metrics": ("valid_metrics AS t", _is_broken("t.name")),
    "cases": ("valid_cases AS t JOIN inputs AS i ON i.key = t.input", _is_broken("i.body", "i.expected")),
    "cells": (
        "valid_cells AS t LEFT JOIN main.completions AS c ON c.key = t.completion",
        _is_broken("c.text", "c.thinking", "c.notes", "t.error", "t.hint", "t.steps"),
    ),
    "scores": ("valid_scores AS t", _is_broken("t.extracted", "t.explanation", "t.details")),
}


def find_damage(store: Store, run: int) -> Iterator[Damage]:
    """What is left out of a run because it cannot be read, table by table, and what is missing from it: `missing cases`
    and `missing cells`, by the run's own counts. Reads no texts."""
    for table in _POSITIONS:
        yield from _find(store, run, table, table, f"main.{table} AS t", f"NOT {sound(table)}")
    query = (
        "SELECT cases - (SELECT count(*) FROM main.cases WHERE run = valid_runs.key),"
        " done - (SELECT count(*) FROM main.cells WHERE run = valid_runs.key) FROM valid_runs WHERE key = ?"
    )
    for row in store.read(query, (run,)):
        yield from (Damage(f"missing {kind}", n, ()) for kind, n in zip(("cases", "cells"), row, strict=True) if n > 0)


def find_broken_texts(store: Store, run: int) -> Iterator[Damage]:
    """Rows that are shown although bytes of their texts are no UTF-8. Reads every text of the run."""
    for table, (source, broken) in _TEXTS.items():
        yield from _find(store, run, f"texts of {table}", table, source, f"({broken})")


def list_damaged_runs(store: Store) -> tuple[str, ...]:
    """The ids of runs that cannot be read, "" for one whose id cannot."""
    query = f"SELECT CASE typeof(t.id) WHEN 'text' THEN t.id ELSE '' END FROM main.runs AS t WHERE NOT {sound('runs')}"
    return tuple(name for (name,) in store.read(f"{query} ORDER BY 1"))


def describe_damaged_runs(store: Store) -> str:
    """The same in a sentence; "" where all can be read."""
    found = list_damaged_runs(store)
    if not found:
        return ""
    runs = format_subject(len(found), "run")
    names = ", ".join(name or "one without an id" for name in found[:5]) + (", …" if len(found) > 5 else "")
    return f"{runs} damaged in the store and left out: {names}."


def _find(store: Store, run: int, kind: str, table: str, source: str, where: str) -> Iterator[Damage]:
    found = f"FROM {source} WHERE t.run = ? AND {where}"
    rows = store.read(f"SELECT {_POSITIONS[table]} {found} LIMIT ?", (run, _NAMED))
    if not rows:
        return
    count = len(rows)
    if count == _NAMED:
        ((count,),) = store.read(f"SELECT count(*) {found}", (run,))
    yield Damage(kind, count, tuple(DamagedRow(*map(_read_position, row)) for row in rows))


def _read_position(value: object) -> int | None:
    return value if isinstance(value, int) else None
