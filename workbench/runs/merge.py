"""Runs of parts of one bench, such as shards, merged into one run.

All of it is one transaction of the store that gets the merged run: a merge that is refused or killed leaves nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import msgspec

from workbench.errors import StoreError
from workbench.paths import working_folder
from workbench.runs.merge_check import (
    MergedCards,
    MergedProvenances,
    MergeSource,
    check_same_bench,
    check_same_case,
    find_difference,
)
from workbench.runs.serialisation import read_config
from workbench.store.cell_records import CellRecord
from workbench.store.cells import add_cells, add_inputs, read_cells, read_inputs
from workbench.store.provenance import set_provenance
from workbench.store.runs import Run, change_run, create_run, get_metrics, get_variants
from workbench.store.store import Store
from workbench.store.votes import add_vote, read_votes

_BATCH = 500

T = TypeVar("T")


class MergedPart(msgspec.Struct, frozen=True):
    """A run that was merged. shard: such as `3/8`; empty where it was none. cells: it has finished; total: it was to
    have. failed: of those finished."""

    name: str
    run: str
    shard: str
    cells: int
    total: int
    failed: int


class MergeResult(msgspec.Struct, frozen=True):
    """run: the id of the merged one. cells: it has; total: it should have, which the shards that were not given or not
    finished lack. failed: of its cells. repeated: cells that more than one part had, with the same result."""

    run: str
    parts: tuple[MergedPart, ...]
    cells: int
    total: int
    failed: int
    repeated: int


def merge_runs(sources: Sequence[MergeSource], target: Store, note: str = "") -> MergeResult:
    """One run with all cells of these. It can be resumed like any other where cells are missing.

    Raises StoreError, and changes nothing, where they are not of the same bench, data, prompts and models, or have
    different results of a cell.
    """
    first = sources[0]
    for other in sources[1:]:
        check_same_bench(first, other)
    variants, metrics = get_variants(first.store, first.run.key), get_metrics(first.store, first.run.key)
    provenances, cards = MergedProvenances(), MergedCards()
    for source in sources:
        provenances.add(source, variants)
        cards.add(source)
    parts = tuple(map(_describe, sources))
    with target.write():
        run = create_run(target, _make_run(sources, parts, note, cards.cards), variants, metrics)
        for index, body in provenances.bodies.items():
            set_provenance(target, run.key, index, body)
        cases = _merge_cases(sources, target, run.key)
        cells, failed, repeated = _merge_cells(sources, target, run.key, variants)
        _merge_votes(sources, target, run.key)
        total = _count_total(sources, len(variants), cases)
        ends = [source.run.finished for source in sources if source.run.finished is not None]
        state = "finished" if cells == total else "stopped"
        change_run(target, run.key, state=state, total=total, finished=max(ends, default=None), owner="")
    return MergeResult(run.id, parts, cells, total, failed, repeated)


def _describe(source: MergeSource) -> MergedPart:
    run = source.run
    return MergedPart(source.name, run.id, read_config(run).shard, run.done, run.total, run.failed)


def _make_run(sources: Sequence[MergeSource], parts: Iterable[MergedPart], note: str, cards: dict[str, str]) -> Run:
    """The merged run's record. It began when the first of them did."""
    first = sources[0].run
    configs = [read_config(source.run) for source in sources]
    warnings = tuple(dict.fromkeys(warning for config in configs for warning in config.warnings))
    config = msgspec.structs.replace(
        configs[0], shard="", warnings=warnings, cases=max(config.cases for config in configs), cards=cards
    )
    merged = ", ".join(f"{part.run} ({part.shard})" if part.shard else part.run for part in parts)
    return msgspec.structs.replace(
        first,
        folder=_find_folder(first, configs[0].file),
        started=min(source.run.started for source in sources),
        options=msgspec.json.encode(config).decode(),
        note=f"{note} (merged: {merged})" if note else f"merged: {merged}",
        owner="",
    )


def _find_folder(run: Run, file: str) -> str:
    """The bench's folder: as the run has it, or the working folder where that is on another machine."""
    here = working_folder()
    return str(here) if file and not Path(run.folder).is_dir() and (here / file).is_file() else run.folder


def _merge_cases(sources: Sequence[MergeSource], target: Store, run: int) -> int:
    """Write down every case once; how many there are."""
    streams = [_name_all(read_inputs(source.store, source.run.key), source.name) for source in sources]
    count, batch = 0, []
    for _, found in groupby(heapq.merge(*streams, key=lambda one: one[0].number), key=lambda one: one[0].number):
        (record, name), *others = found
        for other, other_name in others:
            check_same_case(record, other, (name, other_name))
        count += 1
        batch.append(record)
        if len(batch) == _BATCH:
            add_inputs(target, run, batch)
            batch = []
    add_inputs(target, run, batch)
    return count


def _merge_cells(
    sources: Sequence[MergeSource], target: Store, run: int, variants: Sequence[str]
) -> tuple[int, int, int]:
    """Write down every cell once; how many there are, failed, and were in several of the runs."""
    cells = failed = repeated = 0
    batch: list[CellRecord] = []
    for (number, variant, repeat), found in groupby(_read_all(sources), key=lambda one: _cell_key(one[0])):
        (record, name), *others = found
        for other, other_name in others:
            if difference := find_difference(record, other):
                raise StoreError(
                    f"{name} and {other_name} have different results of the cell {variants[variant]}, case {number},"
                    f" repeat {repeat + 1}: {difference.rstrip('.')}.",
                    "Leave one of them out; the cells that are missing then can be run with `workbench eval --resume`.",
                )
        cells, failed, repeated = cells + 1, failed + record.failed, repeated + bool(others)
        # the store numbers its completions by itself
        batch.append(msgspec.structs.replace(record, stored=msgspec.structs.replace(record.stored, key=0)))
        if len(batch) == _BATCH:
            add_cells(target, run, batch)
            batch = []
    add_cells(target, run, batch)
    return cells, failed, repeated


def _read_all(sources: Sequence[MergeSource]) -> Iterator[tuple[CellRecord, str]]:
    """Every cell of every run, those of the same place together."""
    streams = [_name_all(read_cells(source.store, source.run.key), source.name) for source in sources]
    return heapq.merge(*streams, key=lambda one: _cell_key(one[0]))


def _name_all(records: Iterable[T], name: str) -> Iterator[tuple[T, str]]:
    return ((record, name) for record in records)


def _cell_key(cell: CellRecord) -> tuple[int, int, int]:
    return cell.number, cell.variant, cell.repeat


def _merge_votes(sources: Sequence[MergeSource], target: Store, run: int) -> None:
    votes = {vote[1:]: vote for source in sources for vote in read_votes(source.store, source.run.key)}
    for vote in sorted(votes.values(), key=lambda one: one.at):
        add_vote(target, run, vote)


def _count_total(sources: Sequence[MergeSource], variants: int, cases: int) -> int:
    """The cells of the whole run: those that missing shards would have, too."""
    from workbench.runs.bench import parse_stored_bench

    run = sources[0].run
    repeats = parse_stored_bench(run.text, f"the bench of {sources[0].name}").repeats
    asked = [read_config(source.run).cases for source in sources]
    return variants * max(cases, *asked) * repeats
