"""The part of a sweep that is on a node: it carries out training jobs there, which are the same as on one machine."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec

from workbench.errors import TrainingError, WorkbenchError
from workbench.runs.cluster.messages import pack, unpack
from workbench.runs.cluster.node_files import pack_files
from workbench.runs.cluster.node_part import NodePart
from workbench.settings import load_settings
from workbench.training.cluster.task_digest import digest_task
from workbench.training.events import JobEvent, read_events
from workbench.training.job import TrainingJob, start_job
from workbench.training.job_dir import JobDir
from workbench.training.recipe_file import parse_stored_recipe
from workbench.training.task import open_task

_POLL_SECONDS = 0.1


class TaskReport(msgspec.Struct, frozen=True):
    """What a node has of a task. digests: as in digest_task; problem: why it cannot be opened there."""

    digests: dict[str, str] = {}
    problem: str = ""


class TrialReport(msgspec.Struct, frozen=True):
    """A job that was started: its folder on the node; problem: why it was not."""

    folder: Path = Path()
    problem: str = ""


class TrialPage(msgspec.Struct, frozen=True):
    """What a job has written since the last time. offset: for the next one; alive: more will come."""

    events: tuple[JobEvent, ...]
    offset: int
    alive: bool


class NodeTrainer(NodePart):
    """See the module. A recipe is given as its YAML text, a folder as the bytes of its path."""

    def check(self, recipe: bytes, folder: bytes) -> bytes:
        """A TaskReport on a recipe, whose paths are looked up from the folder."""
        try:
            task = open_task(parse_stored_recipe(recipe.decode(), "the sweep"), _decode(folder), load_settings())
            return pack(TaskReport(digest_task(task, self._files.fingerprint)))
        except WorkbenchError as error:
            return pack(TaskReport(problem=error.message))

    def start(self, recipe: bytes, folder: bytes) -> bytes:
        """Start a job; a TrialReport."""
        try:
            job = start_job(parse_stored_recipe(recipe.decode(), "the sweep"), _decode(folder))
            return pack(TrialReport(job.job_dir.folder))
        except WorkbenchError as error:
            return pack(TrialReport(problem=error.message))

    def read(self, job: bytes, offset: int, seconds: float) -> bytes:
        """A TrialPage of a job, as soon as it has any event, or is over."""
        job_dir = JobDir(_decode(job))
        waited = 0.0
        while True:
            alive = job_dir.is_alive()  # asked first, as in follow_events
            page = read_events(job_dir.events, offset)
            if page.events or not alive or waited >= seconds:
                return pack(TrialPage(page.events, page.offset, alive))
            threading.Event().wait(_POLL_SECONDS)
            waited += _POLL_SECONDS

    def stop(self, job: bytes) -> None:
        """Stop a job, without an adapter."""
        try:
            TrainingJob(JobDir(_decode(job))).stop(keep=False)
        except TrainingError:
            return  # it has come to its end meanwhile

    def fetch(self, adapter: bytes) -> bytes:
        """A folder of this node, as a list of PackedFile; empty where it cannot be read."""
        try:
            return pack(pack_files(_decode(adapter)))
        except WorkbenchError:
            return pack([])


def _decode(path: bytes) -> Path:
    return unpack(path, Path)
