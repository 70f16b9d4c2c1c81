"""Trainings: the job that the screen follows, read from its file a few times a second.

The job itself is a process of its own: it goes on when the screen is closed, and is found again. Knows nothing of
widgets.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import msgspec

from workbench import child_process
from workbench.errors import ModelError
from workbench.evaluation.session import Session
from workbench.frames import shorten
from workbench.training.job import Job, find_job, list_jobs, start
from workbench.training.journal import read_events
from workbench.training.progress import JobEnded, JobEvent
from workbench.training.recipe import Recipe
from workbench.training.task import recipe_of


class Trainings:
    """The jobs of one open bench. events: of the job that is followed; alive: whether it runs."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.job: Job | None = None
        self.events: list[JobEvent] = []
        self.alive = False
        self._offset = 0
        self._mine = ""

    def propose(self, index: int) -> Recipe:
        """A recipe that trains on the open bench's data with a variant's prompt. Slow: not for the screen's thread.

        Raises WorkbenchError when the bench cannot be trained on.
        """
        name = self.session.variants[index].name
        recipe = recipe_of(self.session.path, name, self.session.settings)
        label = "-".join(re.findall(r"\w+", name.lower()))
        return msgspec.structs.replace(recipe, name=f"{label}-{recipe.method.kind}")

    def start(self, recipe: Recipe) -> None:
        """Begin a job and follow it; once it ends, `take` hands out its adapter."""
        self.follow(start(recipe, self.session.path.parent))
        assert self.job is not None
        self._mine = self.job.id

    def follow(self, job: Job) -> None:
        """Look at a job from its beginning."""
        self.job, self.events, self._offset = job, [], 0
        self.look()

    def find_running(self) -> Job | None:
        """A job that goes on, of this screen or an earlier one."""
        running = [info for info in list_jobs() if info.state in ("starting", "running", "paused")]
        return find_job(running[0].id) if running else None

    def export(self, adapter: Path) -> Path:
        """Write an adapter as a GGUF file beside its folder, in a process of its own. Slow.

        Raises ModelError for a kind that has no such form, or when the bench has no GGUF file of the base.
        """
        target = adapter.with_name(f"{adapter.name}.gguf")
        known = {model.name: model for model in self.session.models if model.format == "gguf"}
        bases = [str(known[name].path) for name in (v.model for v in self.session.variants) if name in known]
        if not bases:
            raise ModelError("No pane runs on a GGUF file of the base.", "Use `workbench convert` and name one.")
        source, written, base = (str(path.absolute()) for path in (adapter, target, Path(bases[0])))
        with child_process.scratch() as folder:
            done = subprocess.run(
                child_process.command("workbench.__main__", "convert", source, written, "--base", base, "--check", "0"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=child_process.environment(),
                cwd=folder,
                text=True,
                errors="replace",
                check=False,
            )
        if done.returncode:
            raise ModelError(f"{adapter.name} could not be exported: {shorten(done.stderr.strip())}")
        return target

    def look(self) -> None:
        """Read what is new."""
        if self.job is None:
            return
        self.alive = self.job.place.is_alive()
        page = read_events(self.job.place.events, self._offset)
        self._offset = page.offset
        self.events += page.events

    @property
    def state(self) -> tuple[str, int, bool]:
        """What a screen compares with what it has shown: the job, how much happened, whether it runs."""
        return (self.job.id if self.job else "", len(self.events), self.alive)

    @property
    def ended(self) -> JobEnded | None:
        """How the job that is followed came to its end."""
        last = self.events[-1] if self.events and not self.alive else None
        return last if isinstance(last, JobEnded) else None

    def take(self) -> Path | None:
        """The adapter of a job that was started here, once, when it is there."""
        ended = self.ended
        if ended is None or self.job is None or self.job.id != self._mine:
            return None
        self._mine = ""
        return Path(ended.adapter) if ended.adapter else None
