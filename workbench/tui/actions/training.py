"""Actions on a training: dry run, start, pause, stop, resume; use and export its adapter."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from textual.content import Content

from workbench.errors import TrainingError, WorkbenchError
from workbench.training.job import TrainingJob, find_job, list_jobs
from workbench.training.recipe import Recipe
from workbench.training.recipe_file import SUFFIX, save_recipe
from workbench.training.sampled_answers import read_answers
from workbench.tui.auto_values import describe_data, of_dry_run
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.dialogs.text_viewer import TextViewer
from workbench.tui.dry_run_text import describe_dry_run
from workbench.tui.sampled_text import describe_sampled
from workbench.tui.training_jobs import TrainingJobs
from workbench.tui.ui import Ui
from workbench.tui.widgets.picker import Picker, PickerRow
from workbench.tui.widgets.recipe_form import RecipeForm
from workbench.units import format_duration


class TrainingPage(Protocol):
    """What these actions need of the screen of a training."""

    jobs: TrainingJobs
    form: RecipeForm

    @property
    def recipe(self) -> Recipe: ...
    def show_job(self, shown: bool) -> None: ...
    def show_dry_run(self, text: Content) -> None: ...
    def show_note(self, text: str) -> None: ...
    def dismiss(self, result: str | None) -> object: ...


async def try_out(page: TrainingPage, ui: Ui) -> None:
    """What the recipe would do, without training."""
    recipe = page.recipe
    page.show_job(False)
    page.show_note("Dry run: tokenizing the rows; takes about ten seconds. f7 cancels it…")
    try:
        found = await asyncio.to_thread(page.jobs.dry_run, recipe)
    except WorkbenchError as error:
        page.show_note(f"{error.message}\n\n{error.hint}")
        raise
    if recipe == page.recipe:
        page.form.show_auto(of_dry_run(recipe, found), describe_data(recipe, found.rows, found.validation_rows))
        page.show_dry_run(describe_dry_run(found))


async def begin(page: TrainingPage, ui: Ui) -> None:
    """Start the job and follow it."""
    if page.jobs.alive:
        raise TrainingError("A job is running.", "f7 stops it and keeps its best checkpoint.")
    await asyncio.to_thread(page.jobs.start, page.recipe)
    page.show_job(True)


async def pause(page: TrainingPage, ui: Ui) -> None:
    """Pause after the current step, or resume."""
    job = _job(page)
    paused = await asyncio.to_thread(lambda: job.state == "paused")
    await asyncio.to_thread(job.unpause if paused else job.pause)
    ui.toast("Resumed." if paused else "Pausing after this step.", timeout=3)


async def stop(page: TrainingPage, ui: Ui) -> None:
    """Stop the job, and keep its best checkpoint as an adapter or not; a dry run or an export is cancelled."""
    if page.jobs.cancel_work():
        return
    job = _job(page)
    answer = await ui.ask(
        "Stop the training?",
        "Its best checkpoint so far becomes an adapter, unless you discard it. Checkpoints stay on the disk.",
        [("keep", "Stop and keep"), ("drop", "Stop and discard"), ("stay", "Cancel")],
        destructive=("drop",),
    )
    if answer != "stay":
        await asyncio.to_thread(job.stop, answer == "keep")


async def pause_or_resume(page: TrainingPage, ui: Ui) -> None:
    """Pause a running job, let a paused one go on, resume a stopped or killed one from its last checkpoint."""
    await (pause if page.jobs.alive else resume)(page, ui)


async def resume(page: TrainingPage, ui: Ui) -> None:
    """Resume a stopped or killed job from its last checkpoint."""
    job = _job(page)
    ui.toast("It continues once its libraries and the checkpoint are loaded.", title=f"Resuming {job.id}", timeout=5)
    await asyncio.to_thread(job.resume)
    page.jobs.follow(job)
    page.show_job(True)


async def choose_job(page: TrainingPage, ui: Ui) -> None:
    """Another job to show."""
    rows = [
        PickerRow(
            job.id,
            f"{job.id}  {job.name}",
            f"{job.state}, step {job.step}/{job.steps}, {format_duration(job.seconds)}",
        )
        for job in await asyncio.to_thread(list_jobs)
    ]
    picked = await ui.push(Picker("Training jobs", rows, "There is no job yet; ctrl+r starts one."))
    if picked is not None:
        job = await asyncio.to_thread(find_job, picked.id)
        page.jobs.follow(job)
        page.form.load(job.recipe)
        page.show_job(True)


async def save_recipe_as(page: TrainingPage, ui: Ui) -> None:
    """The recipe as a file, for the command line and for later."""
    folder = page.jobs.session.path.parent
    name = await ui.push(NameInput("Save recipe as", f"A file name in {folder}.", page.recipe.name))
    if name:
        path = folder / (name if name.endswith(SUFFIX) else name + SUFFIX)
        await asyncio.to_thread(save_recipe, path, page.recipe, "" if not path.exists() else None)
        ui.toast(f"workbench train {path.name}", title=f"Saved {path.name}", timeout=5)


async def open_pane(page: TrainingPage, ui: Ui) -> None:
    """Open the job's adapter in a pane of the bench."""
    adapter = _adapter(page)
    page.jobs.take_adapter()
    page.dismiss(adapter)


async def search(page: TrainingPage, ui: Ui) -> None:
    """A hyper-parameter sweep over the recipe."""
    best = await ui.screens.open_sweep(page.recipe, page.jobs.session.path.parent)
    if best is not None:
        page.form.load(best)
        page.show_job(False)
        page.show_note("The form has the best trial's values. ctrl+t does a dry run, ctrl+r trains.")


async def judge(page: TrainingPage, ui: Ui) -> None:
    """The verdict on this job's adapter, or on the bench's."""
    ended = page.jobs.ended
    adapter = Path(ended.adapter).name if ended is not None and ended.adapter else ""
    _open(page, await ui.screens.open_verdict(adapter))


async def registry(page: TrainingPage, ui: Ui) -> None:
    """The adapters that were trained here."""
    _open(page, await ui.screens.open_registry())


def _open(page: TrainingPage, adapter: str | None) -> None:
    """Hand an adapter on to the bench, which opens it in a pane."""
    if adapter is not None:
        page.dismiss(adapter)


async def export(page: TrainingPage, ui: Ui) -> None:
    """Write the adapter as a GGUF file beside it, for llama.cpp elsewhere."""
    adapter = Path(_adapter(page))
    ui.toast("f7 cancels it.", title="Exporting…", timeout=3)
    path = await asyncio.to_thread(page.jobs.export, adapter)
    ui.toast(str(path), title="Exported", timeout=8)


async def show_log(page: TrainingPage, ui: Ui) -> None:
    """The log of the job."""
    job = _job(page)
    text = await asyncio.to_thread(job.log)
    await ui.push(TextViewer(f"Log of {job.id}", text or "(empty)"))


async def show_samples(page: TrainingPage, ui: Ui) -> None:
    """The answers that the job sampled, update by update, the last first."""
    job = _job(page)
    every = await asyncio.to_thread(read_answers, job.job_dir.folder)
    if not every:
        raise TrainingError(
            "This job has sampled no answers.", "Only objective grpo and objective rloo sample them while they learn."
        )
    await ui.push(TextViewer(f"Samples of {job.id}", describe_sampled(every)))


def _job(page: TrainingPage) -> TrainingJob:
    if page.jobs.job is None:
        raise TrainingError("There is no job to show.", "ctrl+r starts one; ctrl+o lists earlier ones.")
    return page.jobs.job


def _adapter(page: TrainingPage) -> str:
    ended = page.jobs.ended
    if ended is None or not ended.adapter:
        raise TrainingError("This job has no adapter yet.", "It gets one when the training ends; f7 stops it.")
    return ended.adapter
