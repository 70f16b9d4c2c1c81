"""`workbench train`: a recipe checked, trained in a process of its own, followed, paused and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal, train_data
from workbench.cli.train_data import DataOptions
from workbench.cli.training_progress import follow_job
from workbench.errors import TrainingError

if TYPE_CHECKING:
    from workbench.training.recipe import Recipe


def main(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE.recipe.yaml | JOB", help="A recipe to train, or a job for the options below."),
    ] = "",
    bench: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Train on this bench's data, with default settings.")
    ] = None,
    variant: Annotated[str, typer.Option(metavar="NAME", help="With --bench: the variant whose prompt to train.")] = "",
    base: train_data.Base = "",
    data: train_data.Data = None,
    split: train_data.Split = "",
    where: train_data.Where = None,
    column: train_data.Columns = None,
    expected: train_data.Expected = "",
    group: train_data.Group = "",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --bench: write the recipe to this file and stop.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would happen; train nothing.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Start the job and return at once.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Follow a running job. Default: the latest.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a paused job, or an interrupted one from its last checkpoint.")
    ] = False,
    stop: Annotated[
        bool, typer.Option("--stop", help="Stop a job and keep its best checkpoint as an adapter.")
    ] = False,
    pause: Annotated[bool, typer.Option("--pause", help="Pause a job; continue with --resume.")] = False,
    samples: Annotated[
        bool, typer.Option("--samples", help="Show the answers that a job sampled, and how its rewards moved.")
    ] = False,
    step: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="With --samples: of this update. Default: the last.")
    ] = None,
    jobs: Annotated[bool, typer.Option("--jobs", help="List the jobs.")] = False,
    fields: Annotated[bool, typer.Option("--fields", help="Explain every field of a recipe.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print events, or the dry run, as JSON.")] = False,
) -> None:
    """Train an adapter.

    The job runs in a process of its own: ctrl+c, or closing the terminal, stops following it, not the training.

    \b
      workbench train queues.recipe.yaml --dry-run
      workbench train queues.recipe.yaml
      workbench train --bench prompts/demo.bench.yaml --variant plain
      workbench train --bench my.bench.yaml --data mine.csv --data more.csv=0.5
      workbench train --bench prompts/demo.bench.yaml --variant plain --out queues.recipe.yaml
      workbench train --jobs
      workbench train --follow
      workbench train --stop
      workbench train --resume
      workbench train --samples

    \b
    On several devices or machines, the same file:
      accelerate launch --multi_gpu -m workbench.training.child queues.recipe.yaml

    \b
    Exit codes: 0 success; 1 the training failed; 2 it could not start; 130 no
    longer following.
    """
    if fields:
        from workbench.cli.training_lists import list_recipe_fields

        list_recipe_fields()
    elif jobs:
        from workbench.cli.training_lists import list_training_jobs

        list_training_jobs(json)
    elif samples:
        from workbench.cli.training_samples import show_samples

        show_samples(file, step, json)
    elif stop or pause:
        _control(file, stop)
    elif follow or resume:
        _attach(file, resume, detach, json)
    else:
        options = DataOptions(data or [], split, where or [], column or [], expected, group)
        recipe, folder, name, path = _choose(file, bench, variant)
        if bench:
            recipe = options.change(recipe, base)
        elif not options.is_empty(base):
            raise TrainingError("A recipe says its base and data itself.", "Write them into it, or use --bench.")
        if out:
            _write(out, recipe, folder)
        elif dry_run:
            from workbench.cli.training_dry_run import show_dry_run

            show_dry_run(recipe, folder, name, json)
        else:
            _start(recipe, folder, name, path, detach, json)


def _choose(file: str, bench: Path | None, variant: str) -> tuple[Recipe, Path, str, Path | None]:
    from workbench.settings import load_settings
    from workbench.training.recipe_file import load_recipe
    from workbench.training.task import recipe_from_bench, recipe_name

    if bool(file) == bool(bench):
        raise TrainingError(
            "Expected a recipe, or --bench with a bench." if not file else "Expected a recipe or a bench, not both.",
            "workbench train --bench prompts/demo.bench.yaml --variant plain",
        )
    if bench:
        recipe = recipe_from_bench(bench.absolute(), variant, load_settings())
        return recipe, Path.cwd(), bench.name.removesuffix(".bench.yaml") + f"-{recipe.variant}", None
    path = Path(file)
    return load_recipe(path), path.absolute().parent, recipe_name(path), path.absolute()


def _write(out: Path, recipe: Recipe, folder: Path) -> None:
    from workbench.training.recipe_file import save_recipe

    if out.exists():
        raise TrainingError(f"{out} already exists.", "Choose another name, or delete it first.")
    save_recipe(out, recipe)
    terminal.log(f"Wrote {out}.")


def _start(recipe: Recipe, folder: Path, name: str, path: Path | None, detach: bool, json: bool) -> None:
    from workbench.settings import load_settings
    from workbench.training.cleanup import remove_leftovers
    from workbench.training.job import start_job
    from workbench.training.task import open_task

    remove_leftovers()
    open_task(recipe, folder, load_settings(), name)  # fails before a job is created
    job = start_job(recipe, folder, name, path)
    terminal.log(f"Started job {job.id}.")
    if detach:
        terminal.write(f"{job.id}\n")
    else:
        follow_job(job, json)


def _attach(name: str, resume: bool, detach: bool, json: bool) -> None:
    from workbench.training.job import find_job

    job = find_job(name)
    if resume:
        waits = job.state == "paused" or job.job_dir.control.command == "pause"  # not yet, where its step is long
        (job.unpause if waits else job.resume)()
    if not detach:
        follow_job(job, json)


def _control(name: str, stop: bool) -> None:
    from workbench.training.job import find_job

    job = find_job(name)
    if stop:
        job.stop(keep=True)
        terminal.log(f"{job.id} stops after the current step and keeps its best checkpoint.")
    else:
        job.pause()
        terminal.log(f"{job.id} pauses after the current step. Continue with: workbench train --resume")
