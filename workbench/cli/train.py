"""`workbench train`: a recipe looked at, carried out in a process of its own, followed and gone on with.

Knows nothing of how training goes (training/child/) or of what a recipe means (training/task.py).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.errors import TrainingError

if TYPE_CHECKING:
    from workbench.training.dry_run import DryRun
    from workbench.training.job import Job, JobInfo
    from workbench.training.progress import JobEvent
    from workbench.training.recipe import Recipe

_BAR = 24


def main(
    file: Annotated[
        str, typer.Argument(metavar="[FILE.recipe.yaml|JOB]", help="What to train; a job for --follow and the like.")
    ] = "",
    bench: Annotated[Path | None, typer.Option(help="Train on this bench's data, with the defaults.")] = None,
    variant: Annotated[str, typer.Option(help="With --bench: the variant whose prompt is trained.")] = "",
    out: Annotated[Path | None, typer.Option(help="With --bench: write the recipe there, and train nothing.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen; train nothing.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Start it and return at once.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Watch a job that runs; without a name the latest.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End a job and keep the best state as an adapter.")] = False,
    pause: Annotated[bool, typer.Option("--pause", help="Let a job wait; --go-on ends that.")] = False,
    go_on: Annotated[bool, typer.Option("--go-on", help="Let a job that waits go on.")] = False,
    jobs: Annotated[bool, typer.Option("--jobs", help="List the jobs.")] = False,
    fields: Annotated[bool, typer.Option("--fields", help="Explain every field of a recipe.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print events, or the dry run, as JSON.")] = False,
) -> None:
    """Train an adapter.

    The job runs in a process of its own: ctrl+c, or closing the terminal, ends the watching, not the training.

    \b
      workbench train queues.recipe.yaml --dry-run
      workbench train queues.recipe.yaml
      workbench train --bench prompts/demo.bench.yaml --variant plain
      workbench train --bench prompts/demo.bench.yaml --variant plain --out queues.recipe.yaml
      workbench train --jobs
      workbench train --follow
      workbench train --stop
      workbench train --resume

    \b
    On several devices or machines, the same file:
      accelerate launch --multi_gpu -m workbench.training.child queues.recipe.yaml

    \b
    Exit codes: 0 an adapter was made, or what was asked was done; 1 the
    training failed; 2 it could not begin; 130 the watching was ended.
    """
    if fields:
        _explain_fields()
    elif jobs:
        _list_jobs(json)
    elif stop or pause or go_on:
        _steer(file, stop, pause)
    elif follow or resume:
        _take_up(file, resume, detach, json)
    else:
        recipe, folder, name, path = _choose(file, bench, variant)
        if out:
            _write(out, recipe, folder)
        elif dry_run:
            _show_dry_run(recipe, folder, name, json)
        else:
            _begin(recipe, folder, name, path, detach, json)


def _choose(file: str, bench: Path | None, variant: str) -> tuple[Recipe, Path, str, Path | None]:
    from workbench.settings import load_settings
    from workbench.training.recipe import load_recipe
    from workbench.training.task import name_of, recipe_of

    if bool(file) == bool(bench):
        raise TrainingError(
            "Expected a recipe, or --bench with a bench." if not file else "Expected a recipe or a bench, not both.",
            "workbench train --bench prompts/demo.bench.yaml --variant plain",
        )
    if bench:
        recipe = recipe_of(bench.absolute(), variant, load_settings())
        return recipe, Path.cwd(), bench.name.removesuffix(".bench.yaml") + f"-{recipe.variant}", None
    path = Path(file)
    return load_recipe(path), path.absolute().parent, name_of(path), path.absolute()


def _write(out: Path, recipe: Recipe, folder: Path) -> None:
    from workbench.training.recipe import save_recipe

    if out.exists():
        raise TrainingError(f"{out} is already there.", "Choose another name, or delete it first.")
    save_recipe(out, recipe)
    terminal.say(f"Wrote {out}.")


def _begin(recipe: Recipe, folder: Path, name: str, path: Path | None, detach: bool, json: bool) -> None:
    from workbench.settings import load_settings
    from workbench.training.job import start
    from workbench.training.leftovers import sweep_leftovers
    from workbench.training.task import open_task

    sweep_leftovers()
    open_task(recipe, folder, load_settings(), name)  # what is missing is said at once, and no job is made of it
    job = start(recipe, folder, name, path)
    terminal.say(f"Job {job.id} has begun.")
    if detach:
        terminal.write(f"{job.id}\n")
    else:
        _follow(job, json)


def _take_up(name: str, resume: bool, detach: bool, json: bool) -> None:
    from workbench.training.job import find_job

    job = find_job(name)
    if resume:
        job.resume()
    if not detach:
        _follow(job, json)


def _steer(name: str, stop: bool, pause: bool) -> None:
    from workbench.training.job import find_job

    job = find_job(name)
    if stop:
        job.stop(keep=True)
        terminal.say(f"{job.id} ends after the update under way, and keeps its best state.")
    elif pause:
        job.pause()
        terminal.say(f"{job.id} waits after the update under way. `workbench train --go-on` ends that.")
    else:
        job.go_on()
        terminal.say(f"{job.id} goes on.")


def _follow(job: Job, json: bool) -> None:
    """Tell what a job does until it is over. Raises typer.Exit with 1 when it fails."""
    import msgspec

    from workbench.training.progress import JobEnded, JobStep

    ended: JobEnded | None = None
    steps = 0
    for event in job.events():
        ended = event if isinstance(event, JobEnded) else ended if isinstance(event, JobStep) is False else None
        if json:
            terminal.write_json(msgspec.json.encode(event).decode() + "\n")
            continue
        steps = getattr(event, "steps", steps)
        text = _tell(event, steps)
        if text:
            terminal.say(text)
    if ended is None:
        raise TrainingError(
            f"The job {job.id} ended without a word: its process was killed.",
            f"`workbench train --resume {job.id}` goes on from the last checkpoint; its log is {job.place.log}",
        )
    if ended.outcome == "failed":
        raise typer.Exit(terminal.FAILED)
    if ended.adapter and not json:
        terminal.write(f"{ended.adapter}\n")


def _tell(event: JobEvent, steps: int) -> str:
    """A line for a person; nothing for what need not be told."""
    from workbench.evaluation.words import format_score
    from workbench.training import progress as p

    match event:
        case p.JobBegan():
            return (
                f"{event.rows} rows, {event.steps} updates, {event.trainable:,} of {event.parameters:,} numbers are"
                f" learned on {event.device} in {event.dtype}"
                + (f"; goes on from update {event.step}" if event.step else "")
            )
        case p.JobStep():
            if event.step % max(1, steps // 25) and event.step != steps:
                return ""
            done = round(_BAR * event.step / steps) if steps else 0
            bar = "#" * done + "." * (_BAR - done)
            return (
                f"{bar} {event.step}/{steps}  loss {event.loss:.4f}  {event.tokens_per_second:.0f} tokens/s"
                f"  {_clock(event.seconds_left)} left"
            )
        case p.JobExamined():
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
        case p.JobWentOn():
            return "goes on"
        case p.JobEnded():
            return f"{event.reason} {event.hint}".strip()
        case _:
            return ""


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
        else f"{found.memory_bytes / 2**30:.1f} GiB of {found.free_bytes / 2**30:.1f} free"
    )
    return [
        ("base", f"{found.base}, {found.device}, {found.dtype}, {found.threads} threads"),
        ("method", f"{found.method}: {found.trainable:,} of {found.parameters:,} numbers are learned"),
        ("rows", f"{found.rows} to learn from, {found.validation_rows} to examine on"),
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
        ("parity", found.parity or "prompts are trained in the very tokens that are asked"),
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
        terminal.say("There is no training job yet.")
        return
    table = make_table(["job", "state", "update", "loss", "best", "time"], right=["update", "loss", "time"])
    for info in found:
        table.add_row(show(info.id), info.state, *_row(info))
    console().print(table)


def _row(info: JobInfo) -> tuple[str, str, str, str]:
    from workbench.evaluation.words import format_score
    from workbench.training.progress import is_share

    best = "–"
    if info.best:
        score = info.best.scores.get(info.best.metric)
        best = (
            f"{info.best.metric} {format_score(score, is_share(info.best.metric, info.best.free))}"
            if score is not None
            else f"loss {info.best.validation_loss or 0:.4f}"
        )
    loss = "–" if info.loss is None else f"{info.loss:.4f}"
    return f"{info.step}/{info.steps}", loss, best, _clock(info.seconds)


def _explain_fields() -> None:
    from workbench.cli.table import console, make_table, show
    from workbench.training.fields import list_fields

    table = make_table(["field", "default", "what it does"])
    for field in list_fields():
        default = "" if field.default in (None, "", (), {}) else str(field.default)
        choices = f" ({', '.join(filter(None, field.choices))})" if field.choices else ""
        table.add_row(
            show(field.path), show("needed" if field.required else default), show(field.explanation + choices)
        )
    console().print(table)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
