"""What a person does with a training: try it out, begin, pause and stop it, take its adapter."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, cast

from workbench.errors import TrainingError, WorkbenchError
from workbench.training.dry_run import dry_run
from workbench.training.job import Job, find_job, list_jobs
from workbench.training.recipe import SUFFIX, save_recipe
from workbench.tui.actions.flow import ask, flow
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.dialogs.picker import Choice, Picker
from workbench.tui.dialogs.reader import Reader
from workbench.tui.dry_run_text import describe_dry_run
from workbench.tui.figures import show_seconds

if TYPE_CHECKING:
    from workbench.tui.app import WorkbenchApp
    from workbench.tui.screens.training import TrainingScreen


@flow
async def try_out(screen: TrainingScreen) -> None:
    """What the recipe means, without training."""
    recipe, session = screen.recipe, screen.trainings.session
    screen.show_job(False)
    screen.say("Reading the rows as the model will see them; this takes some ten seconds…")
    try:
        found = await asyncio.to_thread(dry_run, recipe, session.path.parent, session.settings)
    except WorkbenchError as error:
        screen.say(f"{error.message}\n\n{error.hint}")
        raise
    if recipe == screen.recipe:
        screen.show_dry_run(describe_dry_run(found))


@flow
async def begin(screen: TrainingScreen) -> None:
    """Start the job and follow it."""
    trainings = screen.trainings
    if trainings.alive:
        raise TrainingError("A job goes on already.", "ctrl+x stops it and keeps its best state.")
    await asyncio.to_thread(trainings.start, screen.recipe)
    screen.show_job(True)


@flow
async def pause(screen: TrainingScreen) -> None:
    """Wait after the update under way, or go on."""
    job = _job(screen)
    paused = await asyncio.to_thread(lambda: job.state == "paused")
    await asyncio.to_thread(job.go_on if paused else job.pause)
    screen.notify("Going on." if paused else "Pausing after this update.", timeout=3)


@flow
async def stop(screen: TrainingScreen) -> None:
    """End the job; its best state becomes the adapter, unless a person says otherwise."""
    job = _job(screen)
    text = "Its best state so far becomes an adapter; the checkpoints stay either way."
    answer = await ask(
        screen,
        "Stop the training",
        text,
        [("keep", "Stop and keep"), ("drop", "Stop without"), ("stay", "Go on")],
        destructive=("drop",),
    )
    if answer != "stay":
        await asyncio.to_thread(job.stop, answer == "keep")


@flow
async def resume(screen: TrainingScreen) -> None:
    """Go on from the last checkpoint of a job that was stopped or killed."""
    job = _job(screen)
    await asyncio.to_thread(job.resume)
    screen.trainings.follow(job)
    screen.show_job(True)


@flow
async def choose_job(screen: TrainingScreen) -> None:
    """Another job to look at."""
    jobs = await asyncio.to_thread(list_jobs)
    choices = [
        Choice(
            job.id,
            f"{job.id}  {job.name}",
            f"{job.state}, step {job.step}/{job.steps}, {show_seconds(job.seconds)}",
        )
        for job in jobs
    ]
    picked = await screen.app.push_screen_wait(Picker("Trainings", choices, "None yet: ctrl+r begins one."))
    if picked is not None:
        job = await asyncio.to_thread(find_job, picked.id)
        screen.trainings.follow(job)
        screen.form.load(job.recipe)
        screen.show_job(True)


@flow
async def save_recipe_as(screen: TrainingScreen) -> None:
    """The recipe as a file, for the command line and for later."""
    folder = screen.trainings.session.path.parent
    name = await screen.app.push_screen_wait(NameInput("Save the recipe as", f"Saved in {folder}.", screen.recipe.name))
    if name:
        path = folder / (name if name.endswith(SUFFIX) else name + SUFFIX)
        await asyncio.to_thread(save_recipe, path, screen.recipe, "" if not path.exists() else None)
        screen.notify(f"workbench train {path.name}", title=f"Saved {path.name}")


@flow
async def open_pane(screen: TrainingScreen) -> None:
    """The adapter that came of the job, in a pane of the bench."""
    ended = screen.trainings.ended
    if ended is None or not ended.adapter:
        raise TrainingError("This job has no adapter yet.", "It is made when the training ends; ctrl+x ends it.")
    screen.trainings.take()
    screen.dismiss(ended.adapter)


@flow
async def search(screen: TrainingScreen) -> None:
    """The recipe with other numbers, several times; the best can be gone on with."""
    folder = screen.trainings.session.path.parent
    best = await cast("WorkbenchApp", screen.app).show_sweep(screen.recipe, folder)
    if best is not None:
        screen.form.load(best)
        screen.show_job(False)
        screen.say("The best trial's numbers stand in the form. ctrl+t shows what they mean, ctrl+r trains.")


@flow
async def judge(screen: TrainingScreen) -> None:
    """Whether the adapter of this job, or the bench's, was worth its training."""
    ended, app = screen.trainings.ended, cast("WorkbenchApp", screen.app)
    if app.bench_screen is not None:
        adapter = Path(ended.adapter).name if ended is not None and ended.adapter else ""
        await _take(screen, await app.show_verdict(app.bench_screen.verdicts, adapter))


@flow
async def registry(screen: TrainingScreen) -> None:
    """The adapters that were trained here."""
    app = cast("WorkbenchApp", screen.app)
    if app.bench_screen is not None:
        await _take(screen, await app.show_registry(app.bench_screen.adapters))


async def _take(screen: TrainingScreen, adapter: str | None) -> None:
    """Hand an adapter that a person wants in a pane on to the bench."""
    if adapter is not None:
        screen.dismiss(adapter)


@flow
async def export(screen: TrainingScreen) -> None:
    """The adapter as a GGUF file beside it, for llama.cpp elsewhere."""
    ended = screen.trainings.ended
    if ended is None or not ended.adapter:
        raise TrainingError("This job has no adapter yet.", "It is made when the training ends.")
    path = await asyncio.to_thread(screen.trainings.export, Path(ended.adapter))
    screen.notify(str(path), title="Wrote", timeout=8)


@flow
async def show_log(screen: TrainingScreen) -> None:
    """What the trainers said."""
    job = _job(screen)
    text = await asyncio.to_thread(job.log)
    await screen.app.push_screen_wait(Reader(f"log of {job.id}", text or "(nothing)"))


def _job(screen: TrainingScreen) -> Job:
    if screen.trainings.job is None:
        raise TrainingError("There is no job to look at.", "ctrl+r begins one; ctrl+o lists earlier ones.")
    return screen.trainings.job
