"""`workbench train`: a recipe checked, trained in a process of its own, followed, paused and resumed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal, train_data
from workbench.cli.train_data import DataOptions
from workbench.errors import TrainingError
from workbench.units import format_bytes, format_number, format_plural, format_score

if TYPE_CHECKING:
    from workbench.training.dry_run import DryRun
    from workbench.training.events import JobEvent
    from workbench.training.job import JobInfo, TrainingJob
    from workbench.training.recipe import Recipe

_BAR = 24
_MAX_METRICS = 3


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
        _explain_fields()
    elif jobs:
        _list_jobs(json)
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
            _show_dry_run(recipe, folder, name, json)
        else:
            _start(recipe, folder, name, path, detach, json)


def _choose(file: str, bench: Path | None, variant: str) -> tuple[Recipe, Path, str, Path | None]:
    from workbench.settings import load_settings
    from workbench.training.recipe import load_recipe
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
    from workbench.training.recipe import save_recipe

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
        _follow(job, json)


def _attach(name: str, resume: bool, detach: bool, json: bool) -> None:
    from workbench.training.job import find_job

    job = find_job(name)
    if resume:
        waits = job.state == "paused" or job.job_dir.control.command == "pause"  # not yet, where its step is long
        (job.unpause if waits else job.resume)()
    if not detach:
        _follow(job, json)


def _control(name: str, stop: bool) -> None:
    from workbench.training.job import find_job

    job = find_job(name)
    if stop:
        job.stop(keep=True)
        terminal.log(f"{job.id} stops after the current step and keeps its best checkpoint.")
    else:
        job.pause()
        terminal.log(f"{job.id} pauses after the current step. Continue with: workbench train --resume")


def _follow(job: TrainingJob, json: bool) -> None:
    """Log what a job does until it is over. Raises typer.Exit with 1 when it fails."""
    import msgspec

    from workbench.training.events import JobEnded, JobStep

    ended: JobEnded | None = None
    steps = 0
    for event in job.events():
        ended = event if isinstance(event, JobEnded) else ended if isinstance(event, JobStep) is False else None
        if json:
            terminal.write_json(msgspec.json.encode(event).decode() + "\n")
            continue
        steps = getattr(event, "steps", steps)
        text = _format_event(event, steps)
        if text:
            terminal.log(text)
    if ended is None:
        raise TrainingError(
            f"Job {job.id} ended unexpectedly: its process was killed.",
            f"`workbench train --resume {job.id}` continues from the last checkpoint. Log: {job.job_dir.log}",
        )
    if ended.outcome == "failed":
        raise typer.Exit(terminal.FAILED)
    if ended.adapter and not json:
        terminal.write(f"{ended.adapter}\n")


def _format_event(event: JobEvent, steps: int) -> str:
    """An event as a line; empty for what need not be shown."""
    from workbench.training import events as p

    match event:
        case p.JobStarted():
            return (
                f"{format_plural(event.rows, 'row')}, {format_plural(event.steps, 'update')},"
                f" {event.trainable:,} of {event.parameters:,} numbers are"
                f" learned on {event.device} in {event.dtype}"
                + (f"; goes on from update {event.step}" if event.step else "")
            )
        case p.JobStep():
            if event.step % max(1, steps // 25) and event.step != steps:
                return ""
            done = round(_BAR * event.step / steps) if steps else 0
            bar = "#" * done + "." * (_BAR - done)
            return (
                f"{bar} {event.step}/{steps}  loss {event.loss:.4f}{_format_metrics(event.metrics)}"
                f"  {event.tokens_per_second:.0f} tokens/s"
                f"  {_clock(event.seconds_left)} left"
            )
        case p.JobEvaluated():
            loss = "" if event.validation_loss is None else f"  validation loss {event.validation_loss:.4f}"
            scores = "".join(
                f"  {name} {format_score(value, p.is_share(name, event.free))}" for name, value in event.scores.items()
            )
            ends = "" if event.end_logprob is None else f"  ends {math.exp(event.end_logprob):.1%}"
            best = "  (best so far)" if event.best and event.step else ""
            return f"after update {event.step}:{loss}{scores}{ends}{best}"
        case p.JobNotice():
            return event.text
        case p.JobPaused():
            return f"waits after update {event.step}"
        case p.JobResumed():
            return "goes on"
        case p.JobEnded():
            return f"{event.reason} {event.hint}".strip()
        case _:
            return ""


def _format_metrics(metrics: Mapping[str, float]) -> str:
    """The first few figures that the objective watches."""
    return "".join(f"  {name} {value:.3g}" for name, value in list(metrics.items())[:_MAX_METRICS])


def _show_dry_run(recipe: Recipe, folder: Path, name: str, json: bool) -> None:
    import msgspec

    from workbench.settings import load_settings
    from workbench.training.dry_run import dry_run

    found = dry_run(recipe, folder, load_settings(), name)
    if json:
        terminal.write_json(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
        return
    _print_dry_run(found)


def _print_dry_run(found: DryRun) -> None:
    from rich.text import Text

    from workbench.cli.table import console, make_table
    from workbench.sanitize import sanitize

    table = make_table(["", ""])
    for label, value in _describe(found):
        table.add_row(label, value)
    console().print(table)
    for preview in found.previews:
        text = Text(f"row {preview.case}: ")
        for piece in preview.pieces:
            text.append(sanitize(piece.text).replace("\n", "⏎\n"), "bold reverse" if piece.learned else "dim")
        console().print(text, "")
    console().print(Text("What stands out is learned; the rest is only read."))
    for note in found.notes:
        console().print(Text(f"! {note}"))


def _describe(found: DryRun) -> list[tuple[str, str]]:
    share = found.learned_tokens / max(1, found.tokens)
    memory = (
        ""
        if found.memory_bytes is None
        else f"{format_bytes(found.memory_bytes)} of {format_bytes(found.free_bytes)} free;"
        f" {format_bytes(found.optimizer_bytes)} of it for the optimizer's states"
    )
    return [
        ("base", f"{found.base}, {found.device}, {found.dtype}, {found.threads} threads"),
        ("method", f"{found.method}: {found.trainable:,} of {found.parameters:,} numbers are learned"),
        ("rows", f"{found.rows} to learn from, {found.validation_rows} to examine on"),
        *(("data", sentence) for sentence in found.data),
        (
            "tokens",
            f"{found.tokens:,} an epoch, {share:.1%} of them learned; longest row {found.longest} of {found.limit}",
        ),
        ("left out", f"{found.lost} too long, {found.unlabelled} without an answer; {found.cut} cut"),
        ("updates", f"{found.steps} ({found.epochs:g} epochs) at a learning rate of {found.learning_rate:g}"),
        (
            "time",
            "unknown" if found.seconds is None else f"about {_clock(found.seconds)}, on this machine as busy as now",
        ),
        ("memory", memory or "unknown"),
        ("parity", found.parity or "training and inference see the same tokens"),
    ]


def _list_jobs(json: bool) -> None:
    import msgspec

    from workbench.cli.table import console, make_table, show
    from workbench.training.job import list_jobs

    found = list_jobs()
    if json:
        terminal.write_json(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
        return
    if not found:
        terminal.log("No training jobs yet.")
        return
    table = make_table(["job", "state", "update", "loss", "best", "time"], right=["update", "loss", "time"])
    for info in found:
        table.add_row(show(info.id), info.state, *_row(info))
    console().print(table)


def _row(info: JobInfo) -> tuple[str, str, str, str]:
    from workbench.training.events import is_share

    best = "–"
    if info.best:
        score = info.best.scores.get(info.best.metric)
        best = (
            f"{info.best.metric} {format_score(score, is_share(info.best.metric, info.best.free))}"
            if score is not None
            else f"loss {info.best.validation_loss or 0:.4f}"
        )
    loss = format_number(info.loss, 4)
    return f"{info.step}/{info.steps}", loss, best, _clock(info.seconds)


def _explain_fields() -> None:
    from workbench.cli.table import console, make_table, show
    from workbench.training.recipe_fields import list_fields

    table = make_table(["field", "default", "description"])
    for field in list_fields():
        default = "" if field.default in (None, "", (), {}) else str(field.default)
        choices = f" ({', '.join(filter(None, field.choices))})" if field.choices else ""
        table.add_row(
            show(field.path), show("(required)" if field.required else default), show(field.explanation + choices)
        )
    console().print(table)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
