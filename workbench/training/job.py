"""A training job: a process of its own that outlives the screen that started it, followed and controlled by files."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from workbench import files, yaml_document
from workbench.errors import TrainingError
from workbench.inference.worker import spawn
from workbench.training.events import (
    JobEnded,
    JobEvaluated,
    JobEvent,
    JobPaused,
    JobResumed,
    JobStage,
    JobStarted,
    JobStep,
    Stage,
    follow_events,
    read_events,
)
from workbench.training.job_dir import JobControl, JobDir, command, create_job_dir, list_job_dirs
from workbench.training.recipe import Recipe
from workbench.training.recipe_file import parse_stored_recipe

State = Literal["starting", "running", "paused", "interrupted", "done", "stopped", "failed"]
"""interrupted: its process was killed, or the machine went down; `resume` continues from the last checkpoint."""


class JobInfo(msgspec.Struct, frozen=True):
    """A job at a glance. step of steps; loss: of the last update; last, best: evaluations."""

    id: str
    name: str
    state: State
    created: float
    stage: Stage | None = None
    step: int = 0
    steps: int = 0
    loss: float | None = None
    seconds: float = 0.0
    seconds_left: float | None = None
    last: JobEvaluated | None = None
    best: JobEvaluated | None = None
    ended: JobEnded | None = None


class TrainingJob:
    """One training job, by its folder. Methods may be called from any thread and process."""

    def __init__(self, job_dir: JobDir) -> None:
        """Raises TrainingError where no job is."""
        self.job_dir = job_dir
        self.meta = job_dir.meta

    @property
    def id(self) -> str:
        return self.meta.id

    @property
    def name(self) -> str:
        return self.meta.name

    @property
    def recipe(self) -> Recipe:
        return parse_stored_recipe(self.meta.recipe, self.id)

    def is_alive(self) -> bool:
        """Whether a process carries it out."""
        return self.job_dir.is_alive()

    def events(self, follow: bool = True) -> Iterator[JobEvent]:
        """What happened so far, and, with `follow`, what happens until the job is over.

        After a resume the steps since the last checkpoint come again; `merge_steps` keeps the last of each.
        """
        if follow:
            yield from follow_events(self.job_dir.events, self.job_dir.is_alive)
        else:
            yield from read_events(self.job_dir.events).events

    def info(self) -> JobInfo:
        """Its state at a glance."""
        return _summarize(self, tuple(self.events(follow=False)))

    @property
    def state(self) -> State:
        return self.info().state

    def pause(self) -> None:
        """Pause after the current update; memory stays allocated."""
        self._send(JobControl("pause"))

    def unpause(self) -> None:
        """Undo `pause`."""
        self._send(JobControl("run"))

    def stop(self, keep: bool = True) -> None:
        """Stop after the current update. keep: publish the best checkpoint; else only the checkpoints remain."""
        self._send(JobControl("stop", keep))

    def resume(self) -> None:
        """Resume from the last checkpoint, in a new process. Raises TrainingError for a job that is running or done."""
        state = self.state
        if state in ("starting", "running", "paused"):
            raise TrainingError(f"The job {self.id} is {state}.", "Follow it with --follow.")
        if state == "done":
            raise TrainingError(f"The job {self.id} is done.", "Start a new one, with this adapter as its `parent`.")
        self.job_dir.write_control(JobControl())
        _spawn(self.job_dir)

    def log(self) -> str:
        """Output of its libraries."""
        try:
            return self.job_dir.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def _send(self, control: JobControl) -> None:
        if not self.job_dir.is_alive():
            raise TrainingError(
                f"The job {self.id} is not running.", "Resume it from its last checkpoint: workbench train --resume"
            )
        self.job_dir.write_control(control)


def start_job(recipe: Recipe, folder: Path, name: str = "", path: Path | None = None) -> TrainingJob:
    """Begin a training in a process of its own, and return at once.

    folder: the recipe's, from which its paths are looked up. name: of the adapter where the recipe gives none.
    path: the recipe's file, kept for the record. Raises FileError when the job's folder cannot be made; everything else
    that is wrong the job emits, as a JobEnded.
    """
    label = recipe.name or name or "adapter"
    job_dir = create_job_dir(label, yaml_document.encode(recipe), folder, datetime.now(), str(path or ""))
    _spawn(job_dir)
    return TrainingJob(job_dir)


def list_jobs() -> tuple[JobInfo, ...]:
    """Every job, the latest first."""
    return tuple(TrainingJob(job_dir).info() for job_dir in list_job_dirs())


def find_job(name: str = "") -> TrainingJob:
    """A job by its id, the beginning of it, or the adapter's name; without one the latest. Raises TrainingError."""
    job_dirs = list(list_job_dirs())
    for job_dir in job_dirs:
        if not name or job_dir.folder.name.startswith(name) or job_dir.meta.name == name:
            return TrainingJob(job_dir)
    known = ", ".join(job_dir.folder.name for job_dir in job_dirs[:5])
    raise TrainingError(
        f"No such job: {name!r}." if name else "No training job yet.",
        f"Latest jobs: {known}." if known else "Start one: workbench train FILE.recipe.yaml",
    )


def merge_steps(events: Iterator[JobEvent] | tuple[JobEvent, ...]) -> tuple[JobStep, ...]:
    """The updates in order, each once: those made again after a kill replace the ones that were lost."""
    steps: dict[int, JobStep] = {}
    for event in events:
        if isinstance(event, JobStarted):
            steps = {step: made for step, made in steps.items() if step <= event.step}
        elif isinstance(event, JobStep):
            steps[event.step] = event
    return tuple(steps[step] for step in sorted(steps))


def _spawn(job_dir: JobDir) -> None:
    """Start the training process, without a terminal and in a session of its own."""
    files.make_private(job_dir.log)
    with job_dir.log.open("ab") as log:
        process = subprocess.Popen(
            command(job_dir.folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=spawn.environment(),
            cwd=job_dir.folder,  # libraries write into the working folder; nothing there can be imported
            start_new_session=True,
        )
    job_dir.record_process(process.pid)
    _children.append(process)
    _children[:] = [child for child in _children if child.poll() is None]


_children: list[subprocess.Popen[bytes]] = []
"""Started here and still running: kept to be waited for, or they would stay as zombies."""


def _summarize(job: TrainingJob, events: tuple[JobEvent, ...]) -> JobInfo:
    alive = job.job_dir.is_alive()
    began = next((event for event in reversed(events) if isinstance(event, JobStarted)), None)
    steps = merge_steps(events)
    evaluated = [event for event in events if isinstance(event, JobEvaluated)]
    stage = next((event.stage for event in reversed(events) if isinstance(event, JobStage)), None)
    ended = _find_end(job, events)
    last = steps[-1] if steps else None
    return JobInfo(
        id=job.id,
        name=job.name,
        state=_derive_state(events, alive, ended),
        created=job.meta.created,
        stage=stage if alive else None,
        step=last.step if last else 0,
        steps=began.steps if began else 0,
        loss=last.loss if last else None,
        seconds=last.seconds if last else 0.0,
        seconds_left=last.seconds_left if last and alive else None,
        last=evaluated[-1] if evaluated else None,
        best=next((event for event in reversed(evaluated) if event.best), None),
        ended=ended,
    )


def _find_end(job: TrainingJob, events: tuple[JobEvent, ...]) -> JobEnded | None:
    """How the last attempt ended; None while one is under way, or was killed."""
    last = events[-1] if events else None
    return last if isinstance(last, JobEnded) and not (job.job_dir.is_alive() and job.job_dir.began > last.at) else None


def _derive_state(events: tuple[JobEvent, ...], alive: bool, ended: JobEnded | None) -> State:
    if ended:
        return ended.outcome
    if not alive:
        return "interrupted"
    kinds = (JobPaused, JobResumed, JobStep, JobStarted, JobEnded)
    last = next((event for event in reversed(events) if isinstance(event, kinds)), None)
    if isinstance(last, JobPaused):
        return "paused"
    return "starting" if last is None or isinstance(last, JobEnded) else "running"
