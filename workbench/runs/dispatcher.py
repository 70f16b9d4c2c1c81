"""CellDispatcher: starts the cells of a run, one model at a time on each machine, as many as it has slots."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from workbench.runs.cell import CellStarted
from workbench.runs.cell_answer import CellServices
from workbench.runs.cell_task import run_cell
from workbench.runs.finished_cells import FinishedCells
from workbench.runs.run_loop import RunLoop
from workbench.runs.spending import SpendingLimit
from workbench.runs.work_queue import CellTask, WorkQueue


class CellDispatcher:
    """paused: whether no further cells are started."""

    def __init__(
        self, loop: RunLoop, finished: FinishedCells, spending: SpendingLimit, unload: Callable[[WorkQueue], None]
    ) -> None:
        """unload: called when the cells of a queue are done."""
        self.paused = False
        self._loop, self._finished, self._spending, self._unload = loop, finished, spending, unload
        self._changed = asyncio.Event()

    def note_changed(self) -> None:
        """Look again whose turn it is. From any thread."""
        self._loop.call(self._changed.set)

    async def run_queues(self, queues: Sequence[WorkQueue], services: CellServices) -> None:
        """The queues of one machine, one at a time."""
        while queue := await self._next_queue(queues):
            await self._run_queue(queue, queues, services)
            self._unload(queue)

    async def _next_queue(self, queues: Sequence[WorkQueue]) -> WorkQueue | None:
        """The queue whose turn it is, once there is one; None when no cells are left to start."""
        while any(queue.waiting for queue in queues) and not self._spending.reached:
            if queue := self._current_queue(queues):
                return queue
            self._changed.clear()
            await self._changed.wait()
        return None

    def _current_queue(self, queues: Sequence[WorkQueue]) -> WorkQueue | None:
        """One model at a time on a machine: the first that has cells left and is not paused."""
        if self.paused or self._spending.reached:
            return None
        return next((queue for queue in queues if queue.waiting and not queue.paused), None)

    async def _run_queue(self, queue: WorkQueue, queues: Sequence[WorkQueue], services: CellServices) -> None:
        """Start the queue's cells for as long as it is its turn; wait for those in flight."""
        async with asyncio.TaskGroup() as group:
            while True:
                await queue.slots.acquire()
                if self._current_queue(queues) is not queue or not await self._wait_for_room(queue, queues):
                    queue.slots.release()
                    return
                task = queue.pop()
                queue.running += 1
                self._loop.emit(CellStarted(task.planned.variant.name, task.case.number, task.repeat))
                group.create_task(self._run_one(task, services))

    async def _run_one(self, task: CellTask, services: CellServices) -> None:
        """The slot is given back when the finished cell has a place among those that wait for the store: while the
        store takes none, no more than a batch of them can pile up."""
        try:
            finished = await run_cell(task, services)
            if finished.spent or not finished.cell.cached:
                self._spending.add(task.queue.name, finished.spent)
            await self._finished.put(finished)
        finally:
            task.queue.running -= 1
            self._changed.set()
            task.queue.slots.release()

    async def _wait_for_room(self, queue: WorkQueue, queues: Sequence[WorkQueue]) -> bool:
        """Wait until the next cell of a queue is sure to fit the spending limit; False where none fits any more, or it
        is another queue's turn."""
        while not self._spending.has_room(queue.name, queue.running, queue.estimate_next()):
            if not queue.running:
                self._spending.reached = True
                return False
            self._changed.clear()
            await self._changed.wait()
            if self._current_queue(queues) is not queue:
                return False
        return True
