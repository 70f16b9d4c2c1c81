"""TrainingJobs: the training job that the screen follows, read from its journal a few times a second.

The job is a process of its own: it continues when the screen is closed, and is found again.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec

from workbench.errors import ModelError, TrainingError, WorkbenchError
from workbench.inference.worker import spawn
from workbench.inference.worker.frames import shorten
from workbench.runs.session import Session
from workbench.training.dry_run import DryRun, dry_run
from workbench.training.events import JobEnded, JobEvent, read_events
from workbench.training.job import TrainingJob, find_job, list_jobs, start_job
from workbench.training.recipe import Recipe
from workbench.training.task import recipe_from_bench
from workbench.tui.cancellation import Cancellation


class TrainingJobs:
    """The jobs of one open bench. events: of the followed job; alive: whether it runs."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.job: TrainingJob | None = None
        self.events: list[JobEvent] = []
        self.alive = False
        self._offset = 0
        self._mine = ""
        self._work: Cancellation | None = None

    def propose(self, index: int) -> Recipe:
        """A recipe that trains on the open bench's data with a variant's prompt. Slow.

        Raises WorkbenchError when the bench cannot be trained on.
        """
        name = self.session.variants[index].name
        recipe = recipe_from_bench(self.session.path, name, self.session.settings)
        label = "-".join(re.findall(r"\w+", name.lower()))
        return msgspec.structs.replace(recipe, name=f"{label}-{recipe.method.kind}")

    def list_bases(self) -> tuple[str, ...]:
        """The names of the models that can be trained: the bench's own that are on this machine, and those found."""
        own = [name for name, choice in self.session.bench.models.items() if not choice.remote]
        folders = [model.name for model in self.session.models if model.format == "hf"]
        return tuple(dict.fromkeys((*own, *folders)))

    def start(self, recipe: Recipe) -> None:
        """Start a job and follow it; once it ends, `take_adapter` returns its adapter."""
        self.follow(start_job(recipe, self.session.path.parent))
        assert self.job is not None
        self._mine = self.job.id

    def follow(self, job: TrainingJob) -> None:
        """Follow a job, from its first event."""
        self.job, self.events, self._offset = job, [], 0
        self.poll()

    def find_running(self) -> TrainingJob | None:
        """A job that is still running, of this session or an earlier one."""
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
            raise ModelError("No pane uses a GGUF file of the base.", "Use `workbench convert` with --base.")
        source, written, base = (str(path.absolute()) for path in (adapter, target, Path(bases[0])))
        with self._cancellable() as cancellation, spawn.scratch() as folder:
            child = subprocess.Popen(
                spawn.command("workbench.__main__", "convert", source, written, "--base", base, "--check", "0"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=spawn.environment(),
                cwd=folder,
                text=True,
                errors="replace",
            )
            cancellation.on_cancel(child.kill)
            _, words = child.communicate()
        if cancellation.cancelled:
            raise TrainingError(f"The export of {adapter.name} was cancelled.", "Nothing was written.")
        if child.returncode:
            raise ModelError(f"Cannot export {adapter.name}: {shorten(words.strip())}")
        return target

    def dry_run(self, recipe: Recipe) -> DryRun:
        """What a training would do; blocks. Raises WorkbenchError, also when it was cancelled."""
        session = self.session
        with self._cancellable() as cancellation:
            try:
                return dry_run(recipe, session.path.parent, session.settings, on_start=cancellation.on_cancel)
            except WorkbenchError as error:
                if cancellation.cancelled:
                    raise TrainingError("The dry run was cancelled.", "ctrl+t starts another.") from error
                raise

    def cancel_work(self) -> bool:
        """End a dry run or an export under way; whether there was one."""
        work = self._work
        if work is not None:
            work.cancel()
        return work is not None

    @contextlib.contextmanager
    def _cancellable(self) -> Iterator[Cancellation]:
        """While it is open, `cancel_work` cancels what runs in it; the work before is cancelled."""
        self.cancel_work()
        mine = self._work = Cancellation()
        try:
            yield mine
        finally:
            if self._work is mine:
                self._work = None

    def poll(self) -> None:
        """Read the new events."""
        if self.job is None:
            return
        self.alive = self.job.job_dir.is_alive()
        page = read_events(self.job.job_dir.events, self._offset)
        self._offset = page.offset
        self.events += page.events

    @property
    def state(self) -> tuple[str, int, bool]:
        """What a screen compares with what it has drawn: the job, how many events, whether it runs."""
        return (self.job.id if self.job else "", len(self.events), self.alive)

    @property
    def ended(self) -> JobEnded | None:
        """How the followed job ended; None while it runs."""
        last = self.events[-1] if self.events and not self.alive else None
        return last if isinstance(last, JobEnded) else None

    def take_adapter(self) -> Path | None:
        """The adapter of a job that was started here, once, when it is ready."""
        ended = self.ended
        if ended is None or self.job is None or self.job.id != self._mine:
            return None
        self._mine = ""
        return Path(ended.adapter) if ended.adapter else None
