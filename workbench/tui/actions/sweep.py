"""What a person does with a search for better numbers: begin, stop, go on with the best."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from workbench.errors import TrainingError
from workbench.settings import load_settings
from workbench.training.space import set_values
from workbench.training.task import open_task
from workbench.tui.actions.flow import flow

if TYPE_CHECKING:
    from workbench.tui.screens.sweep import SweepScreen


@flow
async def begin(screen: SweepScreen) -> None:
    """Try so many times with what was typed."""
    if screen.sweeping.running:
        raise TrainingError("A search goes on already.", "ctrl+x stops it.")
    trials, space = screen.read()
    await asyncio.to_thread(open_task, screen.recipe, screen.folder, load_settings())
    screen.sweeping.begin(screen.recipe, screen.folder, space, trials)
    screen.look()


@flow
async def stop(screen: SweepScreen) -> None:
    """Try no more."""
    if screen.sweeping.running:
        await asyncio.to_thread(screen.sweeping.cancel)
        screen.notify("Stopping; what was tried is kept.", timeout=4)


@flow
async def take_best(screen: SweepScreen) -> None:
    """The recipe with the best trial's numbers, in the form."""
    ranking, recipe = screen.sweeping.ranking, screen.sweeping.recipe
    if ranking is None or ranking.best is None or recipe is None:
        raise TrainingError("No trial has a score yet.", "ctrl+r begins.")
    screen.dismiss(set_values(recipe, ranking.best.values))
