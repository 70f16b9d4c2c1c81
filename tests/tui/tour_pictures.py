"""Draws the pictures of the tour: matrix, verdict and training of the demo, by the app on the embedded model."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from workbench.settings import Settings
from workbench.tui.app import WorkbenchApp
from workbench.tui.app_state import open_state
from workbench.tui.screens.matrix import MatrixScreen
from workbench.tui.screens.optimize import OptimizeScreen
from workbench.tui.screens.training import TrainingScreen
from workbench.tui.screens.verdict import VerdictScreen

BENCH = Path("prompts/demo.bench.yaml")
FOLDER = Path("assets")
SIZE = (150, 40)


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    while not condition():
        await pilot.pause(0.1)


def save(app: WorkbenchApp, name: str) -> None:
    picture = app.export_screenshot(title=f"workbench {BENCH}").replace(f"{Path.cwd()}/", "")
    FOLDER.joinpath(f"{name}.svg").write_text(picture)


async def draw(name: str, act: Callable[[Pilot[None]], object]) -> None:
    settings = Settings()
    app = WorkbenchApp(settings, lambda: open_state(BENCH, None, settings))
    async with app.run_test(size=SIZE) as pilot:
        await until(
            pilot, lambda: bool(app.bench_screen and app.bench_screen.panes and app.bench_screen.panes[0].scores)
        )
        await act(pilot)  # type: ignore[misc]
        await pilot.pause(1)
        app.clear_notifications()
        await pilot.pause(0.5)
        save(app, name)
    app.close_engines()


async def show_matrix(pilot: Pilot[None]) -> None:
    await pilot.press("f6")
    await until(pilot, lambda: isinstance(pilot.app.screen, MatrixScreen))
    await until(pilot, lambda: "best" in pilot.app.export_screenshot() and not pilot.app.state.runs.running)


async def show_verdict(pilot: Pilot[None]) -> None:
    await pilot.press("f10")
    await until(pilot, lambda: isinstance(pilot.app.screen, VerdictScreen))
    screen = pilot.app.screen
    await pilot.press("ctrl+r")
    await until(pilot, lambda: screen.current is not None and not screen.current.running)


async def show_training(pilot: Pilot[None]) -> None:
    await pilot.press("f9")
    await until(pilot, lambda: isinstance(pilot.app.screen, TrainingScreen))
    screen = pilot.app.screen
    await pilot.press("ctrl+r")
    await until(pilot, lambda: screen.jobs.job is not None and bool(screen.jobs.events) and not screen.jobs.alive)


async def show_search(pilot: Pilot[None]) -> None:
    bench = pilot.app.bench_screen
    await bench.controller.focus(2)
    await pilot.press("O")
    await until(pilot, lambda: isinstance(pilot.app.screen, OptimizeScreen))
    screen = pilot.app.screen
    screen.form.write("calls", "1500")
    await pilot.press("ctrl+r")
    await until(pilot, lambda: screen.current is not None and screen.current.state.ended is not None)
    screen.poll()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ["WORKBENCH_HOME"] = home  # no drafts, runs or settings of one's own in the pictures
        for name, act in (
            ("matrix", show_matrix),
            ("verdict", show_verdict),
            ("training", show_training),
            ("optimize", show_search),
        ):  # four minutes
            asyncio.run(draw(name, act))
