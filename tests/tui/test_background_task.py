"""BackgroundTask: what came of the work, cancelling it at any time, and the end of the app."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
from conftest import until
from textual.app import App
from textual.worker import WorkerFailed

from workbench.errors import WorkbenchError
from workbench.tui.background_task import BackgroundTask


class Work(BackgroundTask[int]):
    """Runs a function; `aborted` is set by what it registered to end it early."""

    def __init__(self, run: Callable[[Work], int]) -> None:
        super().__init__("work")
        self.aborted = threading.Event()
        self._run = run

    def work(self) -> int:
        return self._run(self)


def wait_for_abort(task: Work) -> int:
    task.on_cancel(task.aborted.set)
    task.report(stage="waiting")
    assert task.aborted.wait(60)
    raise WorkbenchError("It was cancelled.")


async def test_a_result_is_kept_and_counts_as_news():
    app: App[None] = App()
    task = Work(lambda _task: 7)
    async with app.run_test() as pilot:
        task.start(app)
        await until(pilot, lambda: not task.running)
    assert (task.result, task.error, task.version) == (7, None, 1)


async def test_an_error_is_kept_for_the_screen_to_show():
    app: App[None] = App()
    error = WorkbenchError("It failed.")

    def fail(_task: Work) -> int:
        raise error

    task = Work(fail)
    async with app.run_test() as pilot:
        task.start(app)
        await until(pilot, lambda: not task.running)
    assert (task.result, task.error) == (None, error)


async def test_it_is_cancelled_by_what_it_registered():
    app: App[None] = App()
    task = Work(wait_for_abort)
    async with app.run_test() as pilot:
        task.start(app)
        await until(pilot, lambda: task.stage == "waiting")
        task.cancel()
        await until(pilot, lambda: not task.running)
    assert task.cancelled


def test_what_is_registered_after_the_cancel_is_called_at_once():
    task = Work(wait_for_abort)
    task.cancel()
    task.on_cancel(task.aborted.set)
    assert task.aborted.is_set()


async def test_the_end_of_the_app_cancels_it_and_waits_for_nobody():
    app: App[None] = App()
    task = Work(wait_for_abort)
    async with app.run_test() as pilot:
        task.start(app)
        await until(pilot, lambda: task.stage == "waiting")
        app.exit()
    assert await asyncio.to_thread(task.aborted.wait, 60)
    task.close(60)
    assert not task.running


async def test_a_defect_in_the_work_ends_the_app_with_its_traceback():
    app: App[None] = App()
    task = Work(lambda _task: 1 // 0)
    with pytest.raises(WorkerFailed, match="division"):
        async with app.run_test() as pilot:
            task.start(app)
            await until(pilot, lambda: not task.running)
            await pilot.pause()
    assert not task.running
