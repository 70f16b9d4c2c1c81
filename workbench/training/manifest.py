"""The manifest of an adapter: what it was trained on and how good it is, a file beside its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from workbench import files
from workbench.errors import FileError, TrainingError

MANIFEST = "manifest.json"

Rank = Literal["candidate", "promoted", "retired"]


class DataTrace(msgspec.Struct, frozen=True, omit_defaults=True):
    """A dataset that was used. rows: how many; digest: of the whole content. passages: a corpus, of which each row is
    shown some; then rows are its passages."""

    role: Literal["train", "validation", "preference", "passages"]
    path: str
    digest: str
    rows: int


class DatasetScores(msgspec.Struct, frozen=True, omit_defaults=True):
    """Scores on a dataset. digest: of its content; cases: how many. at: seconds since 1970. free: the scores that
    are not between 0 and 1."""

    scores: dict[str, float]
    cases: int
    dataset: str = ""
    digest: str = ""
    at: float = 0.0
    note: str = ""
    free: tuple[str, ...] = ()


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """An adapter's lineage and scores.

    created: seconds since 1970. base_digest, prompt_digest: of their content. recipe: its YAML text. parent: the name
    of the adapter it was continued from. metrics: on the validation split, of its checkpoint; later: measured since.
    rank: promoted or retired by the user. files: name -> bytes.
    """

    name: str
    version: int
    created: float
    method: str
    base: str
    base_digest: str
    recipe: str
    job: str = ""
    parent: str = ""
    prompt: str = ""
    prompt_digest: str = ""
    data: tuple[DataTrace, ...] = ()
    metrics: DatasetScores | None = None
    validation_loss: float | None = None
    baseline: dict[str, float] = {}
    best_step: int = 0
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    parameters: int = 0
    libraries: dict[str, str] = {}
    notes: str = ""
    tags: tuple[str, ...] = ()
    rank: Rank = "candidate"
    later: tuple[DatasetScores, ...] = ()
    files: dict[str, int] = {}


def read_manifest(folder: Path) -> Manifest:
    """Raises TrainingError for an adapter without one, FileError for one that cannot be read."""
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except OSError as error:
        raise TrainingError(
            f"{folder} has no {MANIFEST}, so its training is not known.",
            "Adapters trained with workbench have one; others can still be applied to a model.",
        ) from error
    except msgspec.DecodeError as error:
        raise FileError(
            f"{folder / MANIFEST} cannot be read: {error}.", "Restore an earlier version of the file."
        ) from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Raises FileError."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2).decode()
    files.write_text(folder / MANIFEST, text + "\n")
