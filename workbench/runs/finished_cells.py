"""FinishedCells: the cells of a run that are to be stored, several in a transaction; they are announced after that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from workbench.errors import StoreBlockedError
from workbench.runs.cell import CellFinished
from workbench.runs.cell_task import FinishedCell
from workbench.runs.progress import RunProgress
from workbench.runs.run_loop import RunLoop
from workbench.runs.writer import RunWriter

_MAX_BATCH = 256
"""finished cells that share a transaction, and that may wait for one"""

_RETRY_SECONDS = 1.0


class FinishedCells:
    """problem: why the store takes none for now; empty where it does."""

    def __init__(
        self, writer: RunWriter, loop: RunLoop, progress: Callable[[], RunProgress], wait_seconds: float
    ) -> None:
        """wait_seconds: how long to wait for a store that takes no cells."""
        self.problem = ""
        self._writer, self._loop, self._progress = writer, loop, progress
        self._wait_seconds = wait_seconds
        self._queue: asyncio.Queue[FinishedCell | None] = asyncio.Queue(_MAX_BATCH)

    async def put(self, cell: FinishedCell | None) -> None:
        """Add a cell, once there is room for it; None after the last."""
        await self._queue.put(cell)

    async def store(self) -> None:
        """Store what is finished, as many cells at a time as there are, and announce them only then."""
        while (cell := await self._queue.get()) is not None:
            batch = [cell]
            while len(batch) < _MAX_BATCH and not self._queue.empty():
                if (cell := self._queue.get_nowait()) is None:
                    self._queue.put_nowait(None)
                    break
                batch.append(cell)
            await self._store_batch(batch)
            for cell in batch:
                cell.task.queue.count(cell.cell.cached)
                self._loop.emit(CellFinished(cell.cell))

    async def _store_batch(self, batch: Sequence[FinishedCell]) -> None:
        """One transaction; where the store takes nothing for now, wait until it does."""
        began = time.monotonic()
        while True:
            try:
                self._writer.add(batch)
                break
            except StoreBlockedError as error:
                if self._loop.cancelled or time.monotonic() - began >= self._wait_seconds:
                    raise
                self.problem = error.message
                self._loop.emit(self._progress())
                try:
                    await asyncio.sleep(_RETRY_SECONDS)
                except asyncio.CancelledError:
                    raise error from None  # why the cells of this batch are not in the store
        if self.problem:
            self.problem = ""
            self._loop.emit(self._progress())
