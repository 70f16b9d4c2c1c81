"""Several answers asked for at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from workbench.errors import ServerMismatchError

T = TypeVar("T")


async def run_side_by_side(jobs: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """What each job gives, in their order.

    A job that fails cancels those behind it; those before it go on, so that the first in order that fails is raised,
    as if they had run one after another. ServerMismatchError cancels all and is raised before any other. Cancelling
    this cancels every job.
    """
    if not jobs:
        return []
    tasks = [asyncio.create_task(job) for job in jobs]

    def stop(ended: asyncio.Task[T]) -> None:
        if ended.cancelled() or (error := ended.exception()) is None:
            return
        first = 0 if isinstance(error, ServerMismatchError) else tasks.index(ended) + 1
        for other in tasks[first:]:
            other.cancel()

    for task in tasks:
        task.add_done_callback(stop)
    try:
        await asyncio.wait(tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    errors = [task.exception() for task in tasks if not task.cancelled()]
    if mismatch := next((error for error in errors if isinstance(error, ServerMismatchError)), None):
        raise mismatch
    return [task.result() for task in tasks]
