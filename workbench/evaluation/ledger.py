"""Ledger: a run's entries in the store, from its first line to its last.

Knows nothing of engines. One process at a time keeps a run's ledger; others may read it.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from workbench.errors import DatasetError, StoreError
from workbench.evaluation import document
from workbench.evaluation.bench import Bench
from workbench.evaluation.datasets import Case, Cases, load_cases
from workbench.evaluation.lane import Column, Job
from workbench.evaluation.provenance import Provenance
from workbench.evaluation.record import Wish, read_case, read_wish, write_case, write_cell
from workbench.evaluation.scorers import Scorer
from workbench.process_identity import describe_myself, is_alive
from workbench.store import cells
from workbench.store.origins import get_origins, set_origin
from workbench.store.runs import (
    MetricRecord,
    Run,
    change_run,
    claim_run,
    create_run,
    find_run,
    get_metrics,
    get_variants,
)
from workbench.store.store import Store

if TYPE_CHECKING:
    from workbench.evaluation.attempt import Attempt

_GROUP = 1000
_SUFFIX = ".bench.yaml"


class Ledger:
    """See the module."""

    def __init__(self, store: Store, run: Run, variants: Sequence[str], metrics: Sequence[MetricRecord]) -> None:
        self.run = run
        self._store = store
        self._variants = tuple(variants)
        self._metrics = tuple(metrics)
        self._names = tuple(metric.name for metric in metrics)
        self._wish = read_wish(run)
        self._origins = get_origins(store, run.key) if run.id else ()
        self._begun = False
        self._paces: dict[int, tuple[Column, int, float]] = {}
        self.done, self.failed, self.cached, self.total = run.done, run.failed, run.cached, run.total

    @classmethod
    def new(
        cls,
        store: Store,
        bench: Bench,
        path: Path,
        cases: Sequence[Case],
        scorers: Sequence[Scorer],
        wish: Wish,
        name: str = "",
        note: str = "",
    ) -> Ledger:
        """For a run that is not in the store before `begin`. wish: how it was asked for."""
        left_out = cases.left_out if isinstance(cases, Cases) else ()
        wish = msgspec.structs.replace(wish, file=path.name, cases=len(cases), left_out=left_out)
        run = Run(
            "",
            name or path.name.removesuffix(_SUFFIX),
            document.encode(bench),
            str(path.absolute().parent),
            str(getattr(cases, "path", bench.dataset.path if bench.dataset else "")),
            total=len(cases) * len(bench.variants) * bench.repeats,
            note=note,
            options=msgspec.json.encode(wish).decode(),
        )
        metrics = [_describe(scorer) for scorer in scorers]
        return cls(store, run, [variant.name for variant in bench.variants], metrics)

    @classmethod
    def open(cls, store: Store, wanted: str) -> Ledger:
        """Of an earlier run. Raises StoreError when there is none, or when a process keeps it already."""
        run = find_run(store, wanted)
        if run.state == "running" and is_alive(run.owner):
            raise StoreError(
                f"Run {run.id} is being carried out by process {run.owner.split()[0]}.",
                "Wait for its end, or stop it first.",
            )
        return cls(store, run, get_variants(store, run.key), get_metrics(store, run.key))

    @property
    def wish(self) -> Wish:
        """How the run was asked for."""
        return self._wish

    @property
    def path(self) -> Path:
        """The bench's file."""
        return Path(self.run.folder) / (self._wish.file or f"{self.run.bench}{_SUFFIX}")

    def cases(self, bench: Bench) -> Sequence[Case]:
        """The run's cases as they were then; from the dataset where the store does not have them all yet.

        Raises DatasetError when that is no longer the same.
        """
        if self.run.cases >= self._wish.cases or bench.dataset is None:
            return _KeptCases(self._store, self.run)
        cases = load_cases(bench.dataset, Path(self.run.folder))
        if len(cases) != self._wish.cases or (self.run.digest and _digest(cases) != self.run.digest):
            raise DatasetError(
                f"{self.run.dataset} has changed since run {self.run.id} began, and not all of its cases were kept.",
                "Start a new run.",
            )
        return cases

    def origin(self, place: int) -> Provenance | None:
        """What a variant of an earlier run came from. Raises StoreError when that is no longer what it was."""
        if not self._origins or not self._origins[place]:
            return None
        known = Provenance.decode(self._origins[place])
        known.check(self._store)
        return known

    def begin(self, cases: Sequence[Case], columns: Sequence[Column], warnings: tuple[str, ...] = ()) -> None:
        """Write down the run, its cases and what its answers come from."""
        if self.run.id:
            self.run = claim_run(self._store, self.run, describe_myself())
        else:
            options = msgspec.json.encode(msgspec.structs.replace(self._wish, warnings=warnings)).decode()
            fresh = msgspec.structs.replace(
                self.run, started=time.time(), owner=describe_myself(), digest=_digest(cases), options=options
            )
            self.run = create_run(self._store, fresh, self._variants, self._metrics)
        self._begun = True
        for column in columns:
            if column.provenance:
                set_origin(self._store, self.run.key, column.place, column.provenance.encode())
        if self.run.cases < len(cases):
            group = []
            for case in cases:
                group.append(write_case(case))
                if len(group) == _GROUP:
                    cells.add_inputs(self._store, self.run.key, group)
                    group = []
            cells.add_inputs(self._store, self.run.key, group)

    def finished_reader(self, repeats: int, retry_failed: bool) -> Callable[[Column], Callable[[int, int], bool]]:
        """For a column, whether a case and repeat of it need not be run any more; read when its turn comes."""

        def read(column: Column) -> Callable[[int, int], bool]:
            if not self.run.id or not self.done:
                return lambda number, repeat: False
            marks = bytearray()
            for number, repeat in cells.read_places(self._store, self.run.key, column.place, not retry_failed):
                at = number * repeats + repeat
                if at >= len(marks):
                    marks.extend(bytes(at + 1024 - len(marks)))
                marks[at] = 1
            return lambda number, repeat: (at := number * repeats + repeat) < len(marks) and bool(marks[at])

        return read

    def count_finished(self, column: Column, retry_failed: bool) -> int:
        """How many cells of a column need not be run any more."""
        return cells.count_places(self._store, self.run.key, column.place, not retry_failed) if self.run.id else 0

    def find_unscored(self, job: Job) -> cells.CellRecord | None:
        """A cell that has its answer, and lacks a score that it should have."""
        if not self._lacks_scores:
            return None
        found = cells.get_cell(self._store, self.run.key, job.case.number, job.column.place, job.repeat)
        lacks = found is not None and not found.failed and any(score.unscored for score in found.scores)
        return found if lacks else None

    @cached_property
    def _lacks_scores(self) -> bool:
        """Whether the run, as it was gone on with, has such cells."""
        return bool(self.run.id and self.done) and cells.has_unscored(self._store, self.run.key)

    def add(self, finished: Sequence[Attempt]) -> None:
        """Keep finished cells, all or none."""
        records = []
        for attempt in finished:
            assert attempt.cell is not None
            records.append(write_cell(attempt.cell, attempt.answer, self._variants, self._names))
        learned = [reply for attempt in finished for reply in attempt.learned]
        added = cells.add_cells(self._store, self.run.key, records, learned)
        self.done += added.done
        self.failed += added.failed
        self.cached += added.cached
        for attempt in finished:
            self._time(attempt)

    def end(self, whole: bool) -> None:
        """Write down how it ended; nothing where it never began."""
        if self._begun:
            change_run(
                self._store, self.run.key, state="finished" if whole else "stopped", finished=time.time(), owner=""
            )

    def paces(self) -> Iterator[tuple[Column, int, float]]:
        """How many cells of each column were answered, and the seconds they took."""
        return (pace for pace in self._paces.values() if pace[0].provenance and pace[1])

    def _time(self, attempt: Attempt) -> None:
        if attempt.cell and not attempt.cell.cached and not attempt.cell.error and not attempt.scored_again:
            column, cells, seconds = self._paces.get(attempt.job.column.place, (attempt.job.column, 0, 0.0))
            self._paces[column.place] = (column, cells + 1, seconds + attempt.spent_seconds)


class _KeptCases(Sequence[Case]):
    """A run's cases, read from the store a few at a time."""

    def __init__(self, store: Store, run: Run) -> None:
        self._store, self._run = store, run
        self.path = run.dataset
        self.digest = run.digest

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[Case]:
        """Every case that can be read."""
        cases = (read_case(record) for record in cells.read_inputs(self._store, self._run.key))
        return (case for case in cases if case is not None)

    def __getitem__(self, at: Any) -> Any:
        numbers = self._numbers[at]
        return self._read(numbers) if isinstance(at, int) else [self._read(number) for number in numbers]

    @cached_property
    def _numbers(self) -> array[int]:
        return array("q", cells.read_numbers(self._store, self._run.key))

    def _read(self, number: int) -> Case:
        found = cells.get_input(self._store, self._run.key, number)
        case = read_case(found) if found is not None else None
        if case is None:
            raise StoreError(f"Case {number} of run {self._run.id} is damaged in the store.", "Start a new run.")
        return case


def _digest(cases: Sequence[Case]) -> str:
    return str(getattr(cases, "digest", ""))


def _describe(scorer: Scorer) -> MetricRecord:
    """threshold: a score of 1 is the only one that is no failure, where values go from 0 to 1."""
    whole = scorer.scale == "unit" and not scorer.lower_is_better
    return MetricRecord(
        scorer.name, scorer.lower_is_better, scorer.binary, scorer.scale != "unit", 1.0 if whole else None
    )
