"""What of a run is damaged in the store, in sentences for a reader of its results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from workbench.runs.serialisation import is_case_readable, is_score_readable
from workbench.store.cells import read_inputs, read_score_details
from workbench.store.damage import Damage, DamagedRow, find_broken_texts, find_damage
from workbench.store.store import Store

DAMAGED = "Damaged: "
"""how each of these sentences begins"""
_NAMED = 3
_LEFT_OUT: Mapping[str, tuple[str, str]] = {
    "variants": ("1 variant has lost its name", "{:,} variants have lost their names"),
    "metrics": ("1 metric cannot be read", "{:,} metrics cannot be read"),
    "cases": ("1 case cannot be read and is left out", "{:,} cases cannot be read and are left out"),
    "cells": ("1 cell cannot be read and is left out", "{:,} cells cannot be read and are left out"),
    "scores": ("1 score cannot be read and is left out", "{:,} scores cannot be read and are left out"),
    "votes": ("1 vote cannot be read and is left out", "{:,} votes cannot be read and are left out"),
    "missing cases": ("1 case is missing from the store", "{:,} cases are missing from the store"),
    "missing cells": ("1 finished cell is missing from the store", "{:,} finished cells are missing from the store"),
    "texts of variants": ("1 variant's name is damaged", "{:,} names of variants are damaged"),
    "texts of metrics": ("1 metric's name is damaged", "{:,} names of metrics are damaged"),
    "texts of cases": ("1 case holds damaged text", "{:,} cases hold damaged text"),
    "texts of cells": ("1 answer holds damaged text", "{:,} answers hold damaged text"),
    "texts of scores": ("1 score's explanation is damaged", "{:,} explanations of scores are damaged"),
    "details of scores": ("1 score has lost its details", "{:,} scores have lost their details"),
    "origins": ("What 1 variant came from cannot be read", "What {:,} variants came from cannot be read"),
    "options": ("How the run was asked for cannot be read", ""),
}


def describe_damage(
    store: Store, run: int, variants: Sequence[str], metrics: Sequence[str], lost: Sequence[Damage] = ()
) -> tuple[str, ...]:
    """A sentence for each kind of damage, with the first rows of it by name. Reads every text of the run.

    lost: what the caller found itself.
    """
    found = [*find_damage(store, run), *_find_unreadable(store, run), *find_broken_texts(store, run), *lost]
    return tuple(_describe(one, variants, metrics) for one in found if one.total)


def _find_unreadable(store: Store, run: int) -> Iterator[Damage]:
    """Records that SQLite takes for sound, and that say nothing."""
    cases = [DamagedRow(one.number) for one in read_inputs(store, run) if not is_case_readable(one)]
    yield Damage("cases", len(cases), tuple(cases[:_NAMED]))
    scores = [
        DamagedRow(number, variant, metric)
        for number, variant, metric, more in read_score_details(store, run)
        if not is_score_readable(more)
    ]
    yield Damage("details of scores", len(scores), tuple(scores[:_NAMED]))


def _describe(damage: Damage, variants: Sequence[str], metrics: Sequence[str]) -> str:
    one, many = _LEFT_OUT[damage.kind]
    sentence = one if damage.total == 1 else many.format(damage.total)
    names = [name for row in damage.rows[:_NAMED] if (name := _name(row, variants, metrics))]
    more = ", …" if names and damage.total > len(names) else ""
    listed = f" ({'; '.join(names)}{more})" if names else ""
    return f"{DAMAGED}{sentence}{listed}."


def _name(row: DamagedRow, variants: Sequence[str], metrics: Sequence[str]) -> str:
    parts = [f"case {row.number}"] if row.number is not None else []
    for index, names in ((row.variant, variants), (row.metric, metrics)):
        if index is not None:
            parts.append(names[index] if 0 <= index < len(names) else f"number {index + 1}")
    return ", ".join(parts)
