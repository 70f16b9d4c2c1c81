"""What a training job does, as lines of the command line while it runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer

from workbench.cli import terminal
from workbench.errors import TrainingError
from workbench.units import format_duration, format_plural, format_score

if TYPE_CHECKING:
    from workbench.training.events import JobEvent
    from workbench.training.job import TrainingJob

_BAR = 24
_MAX_METRICS = 3


def follow_job(job: TrainingJob, json: bool) -> None:
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
                f" {event.trainable:,} of {event.parameters:,} parameters are trained"
                f" on {event.device} in {event.dtype}" + (f"; resumed from update {event.step}" if event.step else "")
            )
        case p.JobStep():
            if event.step % max(1, steps // 25) and event.step != steps:
                return ""
            done = round(_BAR * event.step / steps) if steps else 0
            bar = "#" * done + "." * (_BAR - done)
            return (
                f"{bar} {event.step}/{steps}  loss {event.loss:.4f}{_format_metrics(event.metrics)}"
                f"  {event.tokens_per_second:.0f} tokens/s"
                f"  {format_duration(event.seconds_left)} left"
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
            return f"paused after update {event.step}"
        case p.JobResumed():
            return "resumed"
        case p.JobEnded():
            return f"{event.reason} {event.hint}".strip()
        case _:
            return ""


def _format_metrics(metrics: Mapping[str, float]) -> str:
    """The first few figures that the objective watches."""
    return "".join(f"  {name} {value:.3g}" for name, value in list(metrics.items())[:_MAX_METRICS])
