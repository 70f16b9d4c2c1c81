"""The folder of a training job: its metadata, control, process, events and checkpoints, as plain files.

The process that trains and those that watch it share nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec
import psutil

from workbench import files, paths
from workbench.errors import FileError, TrainingError
from workbench.inference.worker import spawn

JobCommand = Literal["run", "pause", "stop"]


class JobControl(msgspec.Struct, frozen=True):
    """What the user wants a job to do. keep: publish the best checkpoint as an adapter when it stops."""

    command: JobCommand = "run"
    keep: bool = True


class JobProcess(msgspec.Struct, frozen=True):
    """The process that trains; the time it began tells it from a later one with the same number."""

    pid: int
    began: float


class JobMeta(msgspec.Struct, frozen=True):
    """What a job is. folder: the recipe's, from which its paths are looked up. created: seconds since 1970."""

    id: str
    name: str
    recipe: str
    folder: str
    created: float
    path: str = ""


class JobDir:
    """A job's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events = folder / "events.jsonl"
        self.recipe = folder / "job.recipe.yaml"
        self.log = folder / "log.txt"
        self.checkpoints = folder / "checkpoints"
        self._meta = folder / "job.json"
        self._control = folder / "control.json"
        self._process = folder / "process.json"

    @property
    def meta(self) -> JobMeta:
        """Raises TrainingError for a folder without a job."""
        try:
            return msgspec.json.decode(self._meta.read_bytes(), type=JobMeta)
        except (OSError, msgspec.DecodeError) as error:
            raise TrainingError(
                f"No training job in {self.folder}.", "List all jobs: workbench train --jobs"
            ) from error

    def write_meta(self, meta: JobMeta) -> None:
        files.write_text(self._meta, msgspec.json.encode(meta).decode())

    @property
    def control(self) -> JobControl:
        try:
            return msgspec.json.decode(self._control.read_bytes(), type=JobControl)
        except (OSError, msgspec.DecodeError):
            return JobControl()

    def write_control(self, control: JobControl) -> None:
        files.write_text(self._control, msgspec.json.encode(control).decode(), durable=False)

    def acquire(self) -> None:
        """Take the job for this process. Raises TrainingError when another one is running it."""
        if self.is_alive() and self._read_record() != _this_process():
            raise TrainingError(f"The job {self.folder.name} is already running.", "Follow it, or stop it first.")
        files.write_text(self._process, msgspec.json.encode(_this_process()).decode())

    def record_process(self, pid: int) -> None:
        """Record a process that was started for the job, before it does so itself."""
        record = JobProcess(pid, psutil.Process(pid).create_time())
        files.write_text(self._process, msgspec.json.encode(record).decode())

    def is_alive(self) -> bool:
        """Whether a process is running the job."""
        record = self._read_record()
        if record is None:
            return False
        try:
            process = psutil.Process(record.pid)
            same: bool = abs(process.create_time() - record.began) < 2
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    @property
    def pid(self) -> int | None:
        record = self._read_record()
        return record.pid if record else None

    @property
    def began(self) -> float:
        """When the last process that carried the job out began, seconds since 1970; 0 for none."""
        record = self._read_record()
        return record.began if record else 0.0

    def _read_record(self) -> JobProcess | None:
        try:
            return msgspec.json.decode(self._process.read_bytes(), type=JobProcess)
        except (OSError, msgspec.DecodeError):
            return None


def _this_process() -> JobProcess:
    return JobProcess(os.getpid(), psutil.Process().create_time())


def jobs_folder() -> Path:
    """Where training jobs are kept."""
    return paths.data_folder() / "training"


def create_job_dir(name: str, recipe: str, folder: Path, now: datetime, path: str = "") -> JobDir:
    """A new job's folder, with its recipe. Raises FileError."""
    stamp = now.strftime("%Y%m%d-%H%M%S")
    plain = "".join(character if character.isalnum() or character in "-_" else "-" for character in name)[:60]
    for number in range(1, 1000):
        job_dir = JobDir(jobs_folder() / (f"{stamp}-{plain}" + (f"-{number}" if number > 1 else "")))
        try:
            job_dir.folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise FileError(
                f"Cannot create {job_dir.folder}: {error.strerror}.", "Free some space, or check its permissions."
            ) from error
        files.write_text(job_dir.recipe, recipe)
        job_dir.write_meta(JobMeta(job_dir.folder.name, name, recipe, str(folder.absolute()), now.timestamp(), path))
        return job_dir
    raise FileError(f"A thousand jobs were created this second in {jobs_folder()}.", "Try again.")


def list_job_dirs() -> Iterator[JobDir]:
    """Every job's folder, the latest first."""
    folder = jobs_folder()
    names = (
        sorted((entry.name for entry in folder.iterdir() if entry.is_dir()), reverse=True) if folder.is_dir() else []
    )
    for name in names:
        job_dir = JobDir(folder / name)
        if (job_dir.folder / "job.json").is_file():
            yield job_dir


def command(job_dir: Path) -> list[str]:
    """The command line of the process that carries out a job."""
    return spawn.command("workbench.training.child.__main__", str(job_dir.absolute()))
