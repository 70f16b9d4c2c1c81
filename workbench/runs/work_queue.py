"""The cells of one model, in the order in which they run, and how far they are.

Cells are made one by one as they are wanted: a million of them take no memory.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from workbench.datasets import Case
from workbench.endpoint import is_loopback
from workbench.errors import WorkbenchError
from workbench.models.reference import Model
from workbench.runs.bench import Variant
from workbench.runs.cost import Price, TimeShare
from workbench.runs.provenance import Provenance

_RECENT = 200
"""finished cells over which the rate is measured"""


@dataclass(frozen=True, slots=True)
class PlannedVariant:
    """One variant of a run. index: in the bench's order. provenance: None where a part of it was not found, which
    `error` explains. price: None where the bench has none for its model."""

    index: int
    variant: Variant
    provenance: Provenance | None = None
    error: WorkbenchError | None = None
    price: Price | None = None


@dataclass(frozen=True, slots=True)
class CellTask:
    """A cell to run."""

    queue: WorkQueue
    planned: PlannedVariant
    case: Case
    repeat: int


class CallSlots(asyncio.Semaphore):
    """Of calls that may be in flight. count: of all."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


class WorkQueue:
    """See the module. model: None for variants that cannot run at all.

    slots: how many of its cells may be in flight. call_slots: how many of their calls, where a cell makes several at
    the same time. load_error: why its model could not be loaded, once that was tried:
    its other cells fail without trying again. proved: its server was probed, where it has one.
    """

    def __init__(self, model: Model | None, variants: Sequence[PlannedVariant], name: str) -> None:
        self.model = model
        self.name = name
        self.variants = tuple(sorted(variants, key=_by_adapters)) if model else tuple(variants)
        self.slots = asyncio.Semaphore(1)
        self.call_slots = CallSlots(1)
        self.running = 0
        self.paused = False
        self.load_lock = asyncio.Lock()
        self.load_error: WorkbenchError | None = None
        self.proved = False
        self.generating = TimeShare()
        """of the time in which answers are made"""
        self.working = TimeShare()
        """of all the time that cells take, their graders' too"""
        self.left = 0
        self.most_per_cell: dict[int, float] = {}
        """of each variant, by its index: the most money that a cell can cost, as far as is known before"""
        self._tasks: Iterator[CellTask] = iter(())
        self._next: CellTask | None = None
        self._finished_at: deque[float] = deque(maxlen=_RECENT)

    def fill(
        self,
        cases: Callable[[PlannedVariant], Iterable[Case]],
        repeats: int,
        finished: Callable[[PlannedVariant], Callable[[int, int], bool]],
        concurrency: int,
    ) -> None:
        """Say which cells there are. cases: of a variant. finished: for a variant, whether a case and repeat of it
        need not run any more."""
        self.slots = asyncio.Semaphore(concurrency)
        self.call_slots = CallSlots(concurrency)
        self._tasks = self._make_tasks(cases, repeats, finished)
        self._next = next(self._tasks, None)

    @property
    def addresses(self) -> int:
        """At how many addresses its model is; one for a model on this machine."""
        return len(self.model.remote.urls) if self.model and self.model.remote else 1

    @property
    def is_elsewhere(self) -> bool:
        """Whether its model computes on other machines than this one, as far as the addresses tell."""
        remote = self.model.remote if self.model else None
        return remote is not None and not any(map(is_loopback, remote.urls))

    def pop(self) -> CellTask:
        """The next cell; only while there are `waiting` ones."""
        task, self._next = self._next, next(self._tasks, None)
        assert task is not None
        return task

    def estimate_next(self) -> float:
        """The most that the next cell can cost; 0 where its model has no price."""
        return self.most_per_cell.get(self._next.planned.index, 0.0) if self._next else 0.0

    @property
    def waiting(self) -> bool:
        """Whether there are cells that have not been started."""
        return self._next is not None

    @property
    def rate(self) -> float:
        """Recent cells a second; 0 while too few are finished."""
        if len(self._finished_at) < 2:
            return 0.0
        return (len(self._finished_at) - 1) / max(self._finished_at[-1] - self._finished_at[0], 1e-9)

    def count(self, cached: bool) -> None:
        """Note that a cell is finished."""
        self.left -= 1
        if not cached:
            self._finished_at.append(time.monotonic())

    def _make_tasks(
        self,
        cases: Callable[[PlannedVariant], Iterable[Case]],
        repeats: int,
        finished: Callable[[PlannedVariant], Callable[[int, int], bool]],
    ) -> Iterator[CellTask]:
        for planned in self.variants:
            is_finished = finished(planned)
            for case in cases(planned):
                for repeat in range(repeats):
                    if not is_finished(case.number, repeat):
                        yield CellTask(self, planned, case, repeat)


def make_queues(variants: Iterable[PlannedVariant], key: Callable[[Model], object]) -> list[WorkQueue]:
    """A queue for each model, in the order in which variants first name them; those that cannot run come first."""
    models: dict[object, list[PlannedVariant]] = {}
    for planned in variants:
        models.setdefault(key(planned.provenance.base) if planned.provenance else None, []).append(planned)
    queues = []
    for own in models.values():
        base = own[0].provenance.base if own[0].provenance else None
        queues.append(WorkQueue(base, own, base.name if base else own[0].variant.model))
    return sorted(queues, key=lambda queue: queue.model is not None)


def group_by_machine(queues: Sequence[WorkQueue]) -> list[list[WorkQueue]]:
    """The queues that take turns: those on this machine, which would slow one another down; any other by itself."""
    here = [queue for queue in queues if not queue.is_elsewhere]
    return [*([here] if here else []), *([queue] for queue in queues if queue.is_elsewhere)]


def _by_adapters(planned: PlannedVariant) -> tuple[list[tuple[str, float]], int]:
    """Bare variants first, then those with the same adapters together, so that adapters are switched least."""
    adapters = planned.provenance.adapters if planned.provenance else ()
    return sorted((one.location, one.applied.scale) for one in adapters if one.applied.scale), planned.index
