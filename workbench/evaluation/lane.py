"""Lane: the cells of one model, in the order in which they run, and how far they are.

Knows nothing of how a cell is carried out. Cells are made up one by one as they are wanted: a million of them take no
room.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from workbench.errors import WorkbenchError
from workbench.evaluation.bench import Variant
from workbench.evaluation.cost import Meter, Price
from workbench.evaluation.datasets import Case
from workbench.evaluation.provenance import Provenance
from workbench.models.reference import Model

_LATELY = 200
"""finished cells by which the speed is told"""


class Column(NamedTuple):
    """One variant of a run. place: in the person's order. provenance: None where its parts could not be found, which
    `error` tells. price: None where the bench knows none."""

    place: int
    variant: Variant
    provenance: Provenance | None = None
    error: WorkbenchError | None = None
    price: Price | None = None


class Job(NamedTuple):
    """A cell to run."""

    column: Column
    case: Case
    repeat: int


class Lane:
    """See the module. model: None for columns that cannot run at all."""

    def __init__(self, model: Model | None, columns: Sequence[Column], name: str) -> None:
        self.model = model
        self.name = name
        self.columns = tuple(sorted(columns, key=_by_adapters)) if model else tuple(columns)
        self.running = 0
        self.paused = False
        self.ended = False
        self.broken: WorkbenchError | None = None
        self.meter = Meter()
        """of the time in which answers are made"""
        self.clock = Meter()
        """of all the time that cells take, their judges' with it"""
        self.left = 0
        self._jobs: Iterator[Job] = iter(())
        self._next: Job | None = None
        self._lately: deque[float] = deque(maxlen=_LATELY)

    def fill(self, cases: Iterable[Case], repeats: int, done: Callable[[Column], Callable[[int, int], bool]]) -> None:
        """Say which cells there are. done: for a column, whether a case and repeat of it is finished already."""
        self._jobs = _make_jobs(self.columns, cases, repeats, done)
        self._next = next(self._jobs, None)

    def take(self) -> Job | None:
        """The next cell; None when all were taken."""
        job = self._next
        if job:
            self._next = next(self._jobs, None)
        return job

    @property
    def waiting(self) -> bool:
        """Whether there are cells that were not taken."""
        return self._next is not None

    @property
    def rate(self) -> float:
        """Cells a second, lately; 0 while too few are finished."""
        if len(self._lately) < 2:
            return 0.0
        return (len(self._lately) - 1) / max(self._lately[-1] - self._lately[0], 1e-9)

    def count(self, cached: bool) -> None:
        """A cell is finished."""
        self.left -= 1
        if not cached:
            self._lately.append(time.monotonic())


def make_lanes(columns: Iterable[Column], key: Callable[[Model], object]) -> list[Lane]:
    """A lane for each model, in the order in which variants first name them; those that cannot run come first."""
    models: dict[object, list[Column]] = {}
    for column in columns:
        models.setdefault(key(column.provenance.base) if column.provenance else None, []).append(column)
    lanes = []
    for own in models.values():
        known = own[0].provenance
        lanes.append(Lane(known.base if known else None, own, known.base.name if known else own[0].variant.model))
    return sorted(lanes, key=lambda lane: lane.model is not None)


def _by_adapters(column: Column) -> tuple[list[tuple[str, float]], int]:
    """Bare variants first, then those with the same adapters side by side."""
    laid = column.provenance.adapters if column.provenance else ()
    return sorted((str(one.path), one.applied.scale) for one in laid if one.applied.scale), column.place


def _make_jobs(
    columns: Iterable[Column],
    cases: Iterable[Case],
    repeats: int,
    done: Callable[[Column], Callable[[int, int], bool]],
) -> Iterator[Job]:
    for column in columns:
        is_done = done(column)
        for case in cases:
            for repeat in range(repeats):
                if not is_done(case.number, repeat):
                    yield Job(column, case, repeat)
