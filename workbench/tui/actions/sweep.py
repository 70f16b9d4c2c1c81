"""Actions on a sweep: start, stop, use the best trial."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from workbench.errors import TrainingError
from workbench.settings import load_settings
from workbench.training.recipe import Recipe
from workbench.training.search_space import SearchSpace, set_values
from workbench.training.task import open_task
from workbench.tui.sweeps import Sweeps
from workbench.tui.ui import Ui


class SweepPage(Protocol):
    """What these actions need of the screen of a sweep."""

    sweeps: Sweeps
    recipe: Recipe
    folder: Path

    def read(self) -> tuple[int, SearchSpace]: ...
    def poll(self) -> None: ...
    def dismiss(self, result: Recipe | None) -> object: ...


async def begin(page: SweepPage, ui: Ui) -> None:
    """Run the trials that the form describes."""
    if page.sweeps.running:
        raise TrainingError("A sweep is running.", "f7 stops it.")
    trials, space = page.read()
    await asyncio.to_thread(open_task, page.recipe, page.folder, load_settings())
    ui.launch(page.sweeps.make_task(page.recipe, page.folder, space, trials))
    page.poll()


async def stop(page: SweepPage, ui: Ui) -> None:
    """Stop; finished trials are kept."""
    current = page.sweeps.current
    if current is not None and current.running:
        await asyncio.to_thread(current.cancel)
        ui.toast("Stopping; finished trials are kept.")


async def take_best(page: SweepPage, ui: Ui) -> None:
    """The recipe with the best trial's values, back in the form."""
    current = page.sweeps.current
    if current is None or current.ranking is None or current.ranking.best is None:
        raise TrainingError("No trial has a score yet.", "ctrl+r starts a sweep.")
    page.dismiss(set_values(current.recipe, current.ranking.best.values))
