"""Job: a training in a process of its own, which outlives the screen that started it; followed and steered by files.

Knows nothing of how training goes (child/).
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from workbench import child_process, files
from workbench.errors import TrainingError
from workbench.evaluation import document
from workbench.training.journal import follow_events, read_events
from workbench.training.place import Control, Place, find_places, make_place
from workbench.training.process import command
from workbench.training.progress import (
    JobBegan,
    JobEnded,
    JobEvent,
    JobExamined,
    JobPaused,
    JobStage,
    JobStep,
    JobWentOn,
    Stage,
)
from workbench.training.recipe import Recipe, parse_recipe

State = Literal["starting", "running", "paused", "interrupted", "done", "stopped", "failed"]
"""interrupted: its process was killed, or its machine went down; `resume` goes on from the last checkpoint."""


class JobInfo(msgspec.Struct, frozen=True):
    """A job at a glance. step of steps; loss: of the last update; examined: the last examination and the best one."""

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
    last: JobExamined | None = None
    best: JobExamined | None = None
    ended: JobEnded | None = None


class Job:
    """One training job, by its folder. Methods may be called from any thread and process."""

    def __init__(self, place: Place) -> None:
        """Raises TrainingError where no job is."""
        self.place = place
        self.header = place.header

    @property
    def id(self) -> str:
        return self.header.id

    @property
    def name(self) -> str:
        return self.header.name

    @property
    def recipe(self) -> Recipe:
        return parse_recipe(self.header.recipe, self.id)

    def events(self, follow: bool = True) -> Iterator[JobEvent]:
        """What happened so far, and, with `follow`, what happens until the job is over.

        After a resume the steps since the last checkpoint come again; `curve` keeps the last of each.
        """
        if follow:
            yield from follow_events(self.place.events, self.place.is_alive)
        else:
            yield from read_events(self.place.events).events

    def info(self) -> JobInfo:
        """How it stands."""
        return _sum_up(self, tuple(self.events(follow=False)))

    @property
    def state(self) -> State:
        return self.info().state

    def pause(self) -> None:
        """Wait after the update under way; memory stays taken."""
        self._wish(Control("pause"))

    def go_on(self) -> None:
        """Undo `pause`."""
        self._wish(Control("run"))

    def stop(self, keep: bool = True) -> None:
        """End after the update under way. keep: make an adapter of the best state; else only the checkpoints stay."""
        self._wish(Control("stop", keep))

    def resume(self) -> None:
        """Go on from the last checkpoint, in a new process. Raises TrainingError for a job that is running or done."""
        state = self.state
        if state in ("starting", "running", "paused"):
            raise TrainingError(f"The job {self.id} is {state}.", "Follow it with --follow.")
        if state == "done":
            raise TrainingError(f"The job {self.id} is done.", "Start a new one, with this adapter as its `parent`.")
        self.place.write_control(Control())
        _spawn(self.place)

    def log(self) -> str:
        """What its libraries said."""
        try:
            return self.place.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def _wish(self, control: Control) -> None:
        if not self.place.is_alive():
            raise TrainingError(f"The job {self.id} does not run.", "`--resume` goes on from its last checkpoint.")
        self.place.write_control(control)


def start(recipe: Recipe, folder: Path, name: str = "", path: Path | None = None) -> Job:
    """Begin a training in a process of its own, and return at once.

    folder: the recipe's, from which its paths are looked up. name: of the adapter where the recipe gives none.
    path: the recipe's file, kept for the record. Raises FileError when the job's folder cannot be made; everything else
    that is wrong the job says itself, as a JobEnded.
    """
    label = recipe.name or name or "adapter"
    place = make_place(label, document.encode(recipe), folder, datetime.now(), str(path or ""))
    _spawn(place)
    return Job(place)


def list_jobs() -> tuple[JobInfo, ...]:
    """Every job, the latest first."""
    return tuple(Job(place).info() for place in find_places())


def find_job(name: str = "") -> Job:
    """A job by its id, the beginning of it, or the adapter's name; without one the latest. Raises TrainingError."""
    places = list(find_places())
    for place in places:
        if not name or place.folder.name.startswith(name) or place.header.name == name:
            return Job(place)
    known = ", ".join(place.folder.name for place in places[:5])
    raise TrainingError(
        f"There is no job {name!r}." if name else "There is no training job yet.",
        f"The latest are: {known}." if known else "Start one: workbench train FILE.recipe.yaml",
    )


def curve(events: Iterator[JobEvent] | tuple[JobEvent, ...]) -> tuple[JobStep, ...]:
    """The updates in order, each once: those made again after a kill replace the ones that were lost."""
    steps: dict[int, JobStep] = {}
    for event in events:
        if isinstance(event, JobBegan):
            steps = {step: made for step, made in steps.items() if step <= event.step}
        elif isinstance(event, JobStep):
            steps[event.step] = event
    return tuple(steps[step] for step in sorted(steps))


def _spawn(place: Place) -> None:
    """Start the process that trains: no terminal of ours, a session of its own."""
    files.make_private(place.log)
    with place.log.open("ab") as log:
        process = subprocess.Popen(
            command("", str(place.folder.absolute())),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=child_process.environment(),
            cwd=place.folder,  # libraries write into the working folder; nothing there can be imported
            start_new_session=True,
        )
    place.note_process(process.pid)
    _children.append(process)
    _children[:] = [child for child in _children if child.poll() is None]


_children: list[subprocess.Popen[bytes]] = []
"""Started here and not over: kept so that they can be waited for, without which they stay on as zombies."""


def _sum_up(job: Job, events: tuple[JobEvent, ...]) -> JobInfo:
    alive = job.place.is_alive()
    began = next((event for event in reversed(events) if isinstance(event, JobBegan)), None)
    steps = curve(events)
    examined = [event for event in events if isinstance(event, JobExamined)]
    stage = next((event.stage for event in reversed(events) if isinstance(event, JobStage)), None)
    ended = _find_end(job, events)
    last = steps[-1] if steps else None
    return JobInfo(
        id=job.id,
        name=job.name,
        state=_judge(events, alive, ended),
        created=job.header.created,
        stage=stage if alive else None,
        step=last.step if last else 0,
        steps=began.steps if began else 0,
        loss=last.loss if last else None,
        seconds=last.seconds if last else 0.0,
        seconds_left=last.seconds_left if last and alive else None,
        last=examined[-1] if examined else None,
        best=next((event for event in reversed(examined) if event.best), None),
        ended=ended,
    )


def _find_end(job: Job, events: tuple[JobEvent, ...]) -> JobEnded | None:
    """How the last attempt ended; None while one is under way, or was killed."""
    last = events[-1] if events else None
    return last if isinstance(last, JobEnded) and not (job.place.is_alive() and job.place.began > last.at) else None


def _judge(events: tuple[JobEvent, ...], alive: bool, ended: JobEnded | None) -> State:
    if ended:
        return ended.outcome
    if not alive:
        return "interrupted"
    kinds = (JobPaused, JobWentOn, JobStep, JobBegan, JobEnded)
    last = next((event for event in reversed(events) if isinstance(event, kinds)), None)
    if isinstance(last, JobPaused):
        return "paused"
    return "starting" if last is None or isinstance(last, JobEnded) else "running"
