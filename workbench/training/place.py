"""Place: the folder of one training job, and what lies where in it.

Knows nothing of what a job does. Everything is a plain file, so that the process that trains and those that look on
need nothing else in common.
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

Wish = Literal["run", "pause", "stop"]


class Control(msgspec.Struct, frozen=True):
    """What a person wishes a job to do. keep: make an adapter of the best state when it stops."""

    wish: Wish = "run"
    keep: bool = True


class Living(msgspec.Struct, frozen=True):
    """The process that trains; the time it began tells it from a later one with the same number."""

    pid: int
    began: float


class Header(msgspec.Struct, frozen=True):
    """What a job is. folder: the recipe's, from which its paths are looked up. created: seconds since 1970."""

    id: str
    name: str
    recipe: str
    folder: str
    created: float
    path: str = ""


class Place:
    """A job's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events = folder / "events.jsonl"
        self.recipe = folder / "job.recipe.yaml"
        self.log = folder / "log.txt"
        self.checkpoints = folder / "checkpoints"
        self._header = folder / "job.json"
        self._control = folder / "control.json"
        self._process = folder / "process.json"

    @property
    def header(self) -> Header:
        """Raises TrainingError where no job is."""
        try:
            return msgspec.json.decode(self._header.read_bytes(), type=Header)
        except (OSError, msgspec.DecodeError) as error:
            raise TrainingError(
                f"{self.folder} holds no training job.", "`workbench train --jobs` lists those there are."
            ) from error

    def write_header(self, header: Header) -> None:
        files.write_text(self._header, msgspec.json.encode(header).decode())

    @property
    def control(self) -> Control:
        try:
            return msgspec.json.decode(self._control.read_bytes(), type=Control)
        except (OSError, msgspec.DecodeError):
            return Control()

    def write_control(self, control: Control) -> None:
        files.write_text(self._control, msgspec.json.encode(control).decode(), durable=False)

    def claim(self) -> None:
        """Take the job for this process. Raises TrainingError when another one carries it out."""
        if self.is_alive() and self._living() != _self():
            raise TrainingError(
                f"The job {self.folder.name} is being carried out already.", "Follow it, or stop it first."
            )
        files.write_text(self._process, msgspec.json.encode(_self()).decode())

    def note_process(self, pid: int) -> None:
        """Take note of a process that was started for the job, before it has said so itself."""
        living = Living(pid, psutil.Process(pid).create_time())
        files.write_text(self._process, msgspec.json.encode(living).decode())

    def is_alive(self) -> bool:
        """Whether a process carries the job out."""
        living = self._living()
        if living is None:
            return False
        try:
            process = psutil.Process(living.pid)
            same: bool = abs(process.create_time() - living.began) < 2
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    @property
    def pid(self) -> int | None:
        living = self._living()
        return living.pid if living else None

    @property
    def began(self) -> float:
        """When the last process that carried the job out began, seconds since 1970; 0 for none."""
        living = self._living()
        return living.began if living else 0.0

    def _living(self) -> Living | None:
        try:
            return msgspec.json.decode(self._process.read_bytes(), type=Living)
        except (OSError, msgspec.DecodeError):
            return None


def _self() -> Living:
    return Living(os.getpid(), psutil.Process().create_time())


def jobs_folder() -> Path:
    """Where training jobs are kept."""
    return paths.data_folder() / "training"


def make_place(name: str, recipe: str, folder: Path, now: datetime, path: str = "") -> Place:
    """A new job's folder, with its recipe. Raises FileError."""
    stamp = now.strftime("%Y%m%d-%H%M%S")
    plain = "".join(character if character.isalnum() or character in "-_" else "-" for character in name)[:60]
    for number in range(1, 1000):
        place = Place(jobs_folder() / (f"{stamp}-{plain}" + (f"-{number}" if number > 1 else "")))
        try:
            place.folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise FileError(
                f"Cannot make {place.folder}: {error.strerror}.", "Free some space, or check its permissions."
            ) from error
        files.write_text(place.recipe, recipe)
        place.write_header(Header(place.folder.name, name, recipe, str(folder.absolute()), now.timestamp(), path))
        return place
    raise FileError(f"There are a thousand jobs of this second in {jobs_folder()}.", "Start it again.")


def find_places() -> Iterator[Place]:
    """Every job's folder, the latest first."""
    folder = jobs_folder()
    names = (
        sorted((entry.name for entry in folder.iterdir() if entry.is_dir()), reverse=True) if folder.is_dir() else []
    )
    for name in names:
        place = Place(folder / name)
        if (place.folder / "job.json").is_file():
            yield place
