"""Manifest: what an adapter came from and how good it is, a file beside its weights.

Knows nothing of folders of adapters (registry.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from workbench import files
from workbench.errors import FileError, TrainingError

MANIFEST = "manifest.json"

Rank = Literal["candidate", "promoted", "retired"]


class DataTrace(msgspec.Struct, frozen=True, omit_defaults=True):
    """A dataset that was used. rows: those that were; digest: of the whole content."""

    role: Literal["train", "validation", "preference"]
    path: str
    digest: str
    rows: int


class Measured(msgspec.Struct, frozen=True, omit_defaults=True):
    """Scores on a dataset. digest: of its content; cases: how many. at: seconds since 1970. free: the scores that
    are no shares of 1."""

    scores: dict[str, float]
    cases: int
    dataset: str = ""
    digest: str = ""
    at: float = 0.0
    note: str = ""
    free: tuple[str, ...] = ()


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """An adapter's lineage and standing.

    created: seconds since 1970. base_digest, prompt_digest: of their content. recipe: its YAML text. parent: the name
    of the adapter it went on from. metrics: on the validation split, of the state that is kept; later: measured since.
    rank: what a person made of it. files: name -> bytes.
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
    metrics: Measured | None = None
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
    later: tuple[Measured, ...] = ()
    files: dict[str, int] = {}


def read_manifest(folder: Path) -> Manifest:
    """Raises TrainingError where an adapter has none, or none that can be read."""
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except OSError as error:
        raise TrainingError(
            f"{folder} has no {MANIFEST}: nothing is known of where it comes from.",
            "Adapters that were trained here have one; others can still be laid over a model.",
        ) from error
    except msgspec.DecodeError as error:
        raise FileError(
            f"{folder / MANIFEST} cannot be read: {error}.", "Put an earlier version of the file back."
        ) from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Raises FileError."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2).decode()
    files.write_text(folder / MANIFEST, text + "\n")
