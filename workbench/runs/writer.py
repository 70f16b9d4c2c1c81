"""A run's entries in the store, from its first line to its last.

One process at a time writes a run, which `claim_run` sees to; others may read it meanwhile. A cell and its scores, the
graders' replies and the run's counts are one transaction, so that a killed process leaves no half of them.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from workbench import yaml_document
from workbench.datasets import Case, Cases, load_cases
from workbench.errors import DatasetError, FileError, StoreError
from workbench.process_identity import describe_myself, is_alive
from workbench.runs.bench import Bench
from workbench.runs.provenance import Provenance
from workbench.runs.serialisation import RunConfig, read_case, read_config, write_case, write_cell
from workbench.runs.work_queue import CellTask, PlannedVariant
from workbench.scoring.scorer import Scorer
from workbench.store import cells
from workbench.store.cell_records import CellRecord
from workbench.store.provenance import get_provenances, set_provenance
from workbench.store.runs import (
    MetricRecord,
    Run,
    change_run,
    claim_run,
    create_run,
    find_run,
    get_metrics,
    get_run,
    get_variants,
)
from workbench.store.store import Store

if TYPE_CHECKING:
    from workbench.runs.cell_task import FinishedCell

_GROUP = 1000
_SUFFIX = ".bench.yaml"


def name_bench(path: Path) -> str:
    """What the runs of a bench's file are called."""
    return path.name.removesuffix(_SUFFIX)


class RunWriter:
    """See the module."""

    def __init__(self, store: Store, run: Run, variants: Sequence[str], metrics: Sequence[MetricRecord]) -> None:
        self.run = run
        self._store = store
        self._variants = tuple(variants)
        self._metrics = tuple(metrics)
        self._names = tuple(metric.name for metric in metrics)
        self._config = read_config(run)
        self._origins = get_provenances(store, run.key) if run.id else ()
        self._begun = False
        self._durations: dict[int, tuple[PlannedVariant, int, float]] = {}
        self.done, self.failed, self.cached, self.total = run.done, run.failed, run.cached, run.total

    @classmethod
    def new(
        cls,
        store: Store,
        bench: Bench,
        path: Path,
        cases: Sequence[Case],
        scorers: Sequence[Scorer],
        config: RunConfig,
        name: str = "",
        note: str = "",
        total: int = 0,
    ) -> RunWriter:
        """For a run that is not in the store before `begin`. config: how it was asked for. total: its cells."""
        left_out = cases.left_out if isinstance(cases, Cases) else ()
        config = msgspec.structs.replace(config, file=path.name, cases=len(cases), left_out=left_out)
        run = Run(
            "",
            name or name_bench(path),
            yaml_document.encode(msgspec.structs.replace(bench, matrix=None)),
            str(path.absolute().parent),
            str(getattr(cases, "path", bench.dataset.path if bench.dataset else "")),
            total=total,
            note=note,
            options=msgspec.json.encode(config).decode(),
        )
        metrics = [_describe(scorer) for scorer in scorers]
        return cls(store, run, [variant.name for variant in bench.variants], metrics)

    @classmethod
    def open(cls, store: Store, wanted: str) -> RunWriter:
        """Of an earlier run. Raises StoreError when there is none, or when a process keeps it already."""
        run = find_run(store, wanted)
        if run.state == "running" and is_alive(run.owner):
            raise StoreError(
                f"Run {run.id} is being carried out by process {run.owner.split()[0]}.",
                "Wait for its end, or stop it first.",
            )
        return cls(store, run, get_variants(store, run.key), get_metrics(store, run.key))

    @property
    def config(self) -> RunConfig:
        """How the run was asked for."""
        return self._config

    @property
    def path(self) -> Path:
        """The bench's file."""
        return Path(self.run.folder) / (self._config.file or f"{self.run.bench}{_SUFFIX}")

    def cases(self, bench: Bench) -> Sequence[Case]:
        """The run's cases as they were then; from the dataset where the store does not have them all yet.

        Raises DatasetError when that is no longer the same.
        """
        if self.run.cases >= self._config.cases or bench.dataset is None:
            return _StoredCases(self._store, self.run)
        cases = load_cases(bench.dataset, Path(self.run.folder))
        if len(cases) != self._config.cases or (self.run.digest and _digest(cases) != self.run.digest):
            raise DatasetError(
                f"{self.run.dataset} has changed since run {self.run.id} began, and not all of its cases were kept.",
                "Start a new run.",
            )
        return cases

    def origin(self, index: int, find: Callable[[], Provenance]) -> Provenance | None:
        """What a variant of an earlier run came from. find: what it would come from now, which is taken where the files
        are not at the paths of then, as in a run of another machine, and it is the same by its content.

        Raises StoreError when it is no longer what it was, and FileError when its files are not found.
        """
        if not self._origins or not self._origins[index]:
            return None
        known = Provenance.decode(self._origins[index])
        try:
            known.check(self._store)
        except FileError:
            here = find()
            if here.without_paths() != known.without_paths():
                raise
            return here
        return known

    def begin(self, cases: Sequence[Case], variants: Sequence[PlannedVariant], warnings: tuple[str, ...] = ()) -> None:
        """Write down the run, its cases and what its answers come from."""
        if self.run.id:
            self.run = claim_run(self._store, self.run, describe_myself())
        else:
            options = msgspec.json.encode(msgspec.structs.replace(self._config, warnings=warnings)).decode()
            fresh = msgspec.structs.replace(
                self.run, started=time.time(), owner=describe_myself(), digest=_digest(cases), options=options
            )
            self.run = create_run(self._store, fresh, self._variants, self._metrics)
        self._begun = True
        for planned in variants:
            if planned.provenance:
                set_provenance(self._store, self.run.key, planned.index, planned.provenance.encode())
        if self.run.cases < len(cases):
            group = []
            for case in cases:
                group.append(write_case(case))
                if len(group) == _GROUP:
                    cells.add_inputs(self._store, self.run.key, group)
                    group = []
            cells.add_inputs(self._store, self.run.key, group)

    def keep_card(self, model: str, card: str) -> None:
        """Keep the capability card of a server's model, as JSON."""
        self._config = msgspec.structs.replace(self._config, cards={**self._config.cards, model: card})
        stored = read_config(get_run(self._store, self.run.key))
        options = msgspec.structs.replace(stored, cards=self._config.cards)
        change_run(self._store, self.run.key, options=msgspec.json.encode(options).decode())

    def finished_reader(
        self, repeats: int, retry_failed: bool
    ) -> Callable[[PlannedVariant], Callable[[int, int], bool]]:
        """For a planned, whether a case and repeat of it need not be run any more; read when its turn comes."""

        def read(planned: PlannedVariant) -> Callable[[int, int], bool]:
            if not self.run.id or not self.done:
                return lambda number, repeat: False
            marks = bytearray()
            for number, repeat in cells.read_finished(self._store, self.run.key, planned.index, not retry_failed):
                at = number * repeats + repeat
                if at >= len(marks):
                    marks.extend(bytes(at + 1024 - len(marks)))
                marks[at] = 1
            return lambda number, repeat: (at := number * repeats + repeat) < len(marks) and bool(marks[at])

        return read

    def count_finished(self, planned: PlannedVariant, retry_failed: bool) -> int:
        """How many cells of a planned need not be run any more."""
        return cells.count_finished(self._store, self.run.key, planned.index, not retry_failed) if self.run.id else 0

    def find_unscored(self, task: CellTask) -> CellRecord | None:
        """A cell that has its answer, and lacks a score that it should have."""
        if not self._lacks_scores:
            return None
        found = cells.get_cell(self._store, self.run.key, task.case.number, task.planned.index, task.repeat)
        lacks = found is not None and not found.failed and any(score.unscored for score in found.scores)
        return found if lacks else None

    @cached_property
    def _lacks_scores(self) -> bool:
        """Whether the run, as it was gone on with, has such cells."""
        return bool(self.run.id and self.done) and cells.has_unscored(self._store, self.run.key)

    def add(self, finished: Sequence[FinishedCell]) -> None:
        """Keep finished cells, all or none."""
        records = [write_cell(one.cell, one.stored, self._variants, self._names, one.answers) for one in finished]
        replies = [reply for one in finished for reply in one.replies]
        added = cells.add_cells(self._store, self.run.key, records, replies)
        self.done += added.done
        self.failed += added.failed
        self.cached += added.cached
        for one in finished:
            if one.seconds:
                planned, count, seconds = self._durations.get(one.task.planned.index, (one.task.planned, 0, 0.0))
                self._durations[planned.index] = (planned, count + 1, seconds + one.seconds)

    def end(self, whole: bool) -> None:
        """Write down how it ended; nothing where it never began."""
        if self._begun:
            change_run(
                self._store, self.run.key, state="finished" if whole else "stopped", finished=time.time(), owner=""
            )

    def durations(self) -> Iterator[tuple[PlannedVariant, int, float]]:
        """How many cells of each planned were answered, and the seconds they took."""
        return (one for one in self._durations.values() if one[0].provenance and one[1])


class _StoredCases(Sequence[Case]):
    """A run's cases, read from the store a few at a time."""

    def __init__(self, store: Store, run: Run, numbers: array[int] | None = None) -> None:
        """numbers: of some of the cases that follow each other; None: all of them."""
        self._store, self._run, self._some = store, run, numbers
        self.path = run.dataset
        self.digest = run.digest

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[Case]:
        """Every case that can be read."""
        span = (self._some[0], self._some[-1]) if self._some else None
        records = cells.read_inputs(self._store, self._run.key, span) if self._some is None or span else ()
        cases = (read_case(record) for record in records)
        return (case for case in cases if case is not None)

    def __getitem__(self, at: Any) -> Any:
        numbers = self._numbers[at]
        if isinstance(at, int):
            return self._read(numbers)
        if at.step in (None, 1):
            return _StoredCases(self._store, self._run, numbers)
        return [self._read(number) for number in numbers]

    @cached_property
    def _numbers(self) -> array[int]:
        return array("q", cells.read_numbers(self._store, self._run.key)) if self._some is None else self._some

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
