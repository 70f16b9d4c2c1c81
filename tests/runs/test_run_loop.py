"""A run's loop: an interrupt in the midst of a task ends all of them without a word on the terminal."""

from __future__ import annotations

import asyncio
import gc

import pytest

from workbench.runs.progress import RunProgress
from workbench.runs.run_loop import RunLoop


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_an_interrupt_in_a_task_ends_every_task(depth, capfd):
    ended = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("waiting")

    async def interrupt() -> None:
        await asyncio.sleep(0)
        raise KeyboardInterrupt

    async def run(levels: int) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(wait())
            group.create_task(run(levels - 1) if levels else interrupt())

    loop = RunLoop()
    with pytest.raises(KeyboardInterrupt):
        for _ in loop.follow(run(depth), lambda: RunProgress("run", 0, 0, 0, 0)):
            pass
    gc.collect()
    assert ended == ["waiting"] * (depth + 1)
    assert capfd.readouterr().err == ""
