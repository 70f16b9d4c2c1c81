"""Dry run: what a training would do, without doing it: rows, tokens, updates, time, memory, and rows as the model sees
them.

The counting is done by a process like the one that trains (child/preview.py). Knows nothing of how it is shown.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from workbench import child_process
from workbench.engines.engine import Tokenized
from workbench.errors import TrainingError, WorkbenchError
from workbench.evaluation import document
from workbench.evaluation.parity import compare_tokens
from workbench.frames import LONGEST_DETAILS
from workbench.hosting.pool import Pool
from workbench.models.reference import Model
from workbench.prompting.prompt import Message, Mode
from workbench.settings import Settings
from workbench.training.place import Header, Place
from workbench.training.process import command
from workbench.training.recipe import Recipe
from workbench.training.task import open_task


class Piece(msgspec.Struct, frozen=True):
    """A token of a row. learned: whether the loss counts it."""

    text: str
    learned: bool
    id: int = 0


class Preview(msgspec.Struct, frozen=True):
    """A row exactly as the model will see it."""

    case: int
    pieces: tuple[Piece, ...]
    messages: tuple[Message, ...] = ()
    mode: Mode = "chat"
    asked: int = 0
    """how many of the pieces are asked: what follows is the answer"""


class DryRun(msgspec.Struct, frozen=True):
    """What a training would do.

    rows: that are learned from; tokens: of one epoch, padding aside; learned_tokens: of which the loss counts these.
    cut, lost, unlabelled: rows whose answer is cut, that do not fit at all, that have no answer. seconds and
    memory_bytes: estimates, from two updates that were made and thrown away; None where they could not be made.
    parity: "" when prompts are trained in the tokens that are asked; else what differs. overlap: validation rows that
    stand in the train split as well. notes: sentences that a person should read.
    """

    base: str
    method: str
    rows: int
    validation_rows: int
    tokens: int
    learned_tokens: int
    longest: int
    limit: int
    steps: int
    epochs: float
    learning_rate: float
    trainable: int
    parameters: int
    device: str
    dtype: str
    threads: int
    cut: int = 0
    lost: int = 0
    unlabelled: int = 0
    overlap: int = 0
    seconds: float | None = None
    step_seconds: float | None = None
    memory_bytes: int | None = None
    free_bytes: int = 0
    parity: str = ""
    notes: tuple[str, ...] = ()
    previews: tuple[Preview, ...] = ()


class _Refused(msgspec.Struct, frozen=True):
    """What a preview says when there is nothing to show."""

    message: str
    hint: str = ""
    details: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What the process writes."""

    dry_run: DryRun | None = None
    refused: _Refused | None = None


def refuse(error: WorkbenchError) -> Answer:
    return Answer(None, _Refused(error.message, error.hint, error.details))


def dry_run(recipe: Recipe, folder: Path, settings: Settings, name: str = "") -> DryRun:
    """Look at a training before it begins; takes some ten seconds, mostly to load libraries.

    Raises WorkbenchError for everything that would keep it from beginning.
    """
    task = open_task(recipe, folder, settings, name)  # what is missing is said at once
    found = _ask(recipe, folder, name)
    if task.target is not None and task.target.format == "gguf" and found.previews:
        found = msgspec.structs.replace(
            found, parity=found.parity or _check_target(task.target, found.previews, settings)
        )
    return found


def _ask(recipe: Recipe, bench_folder: Path, name: str) -> DryRun:
    with child_process.scratch() as folder:
        place = Place(folder)
        text = document.encode(recipe)
        place.write_header(Header("preview", recipe.name or name, text, str(bench_folder.absolute()), 0.0))
        with place.log.open("wb") as log:  # libraries may say any amount
            subprocess.run(
                command("preview", str(folder)),
                env=child_process.environment(),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                check=False,
            )
        try:
            answer = msgspec.json.decode((place.folder / "preview.json").read_bytes(), type=Answer)
        except (OSError, msgspec.DecodeError) as error:
            words = _read_end(place.log)
            last = words.strip().splitlines()[-1:] or ["it said nothing"]
            raise TrainingError(
                f"The dry run ended by itself: {last[0]}", "Details are in what it said.", words
            ) from error
    if answer.dry_run is None:
        refused = answer.refused or _Refused("The dry run gave nothing.")
        raise TrainingError(refused.message, refused.hint, refused.details)
    return answer.dry_run


def _read_end(log: Path) -> str:
    """The last words of a process."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - LONGEST_DETAILS))
        return stream.read().decode("utf-8", "replace")


def _check_target(target: Model, previews: Sequence[Preview], settings: Settings) -> str:
    """How a prompt's tokens differ on the model that the bench asks, which may be another form of the base."""
    pool = Pool.configured(settings)
    try:
        for preview in previews:
            asked = preview.pieces[: preview.asked]
            trained = Tokenized(
                "".join(piece.text for piece in asked),
                tuple(piece.id for piece in asked),
                tuple(piece.text for piece in asked),
            )
            found = compare_tokens(trained, pool.tokenize(target, preview.messages, preview.mode).result())
            if found.stretches:
                first = found.stretches[0]
                return (
                    f"{target.name} reads the prompt of row {preview.case} otherwise than it is trained, from token"
                    f" {first.position} on: {' '.join(map(repr, first.left)) or 'nothing'} is trained,"
                    f" {' '.join(map(repr, first.right)) or 'nothing'} is asked. An adapter would answer worse there."
                )
    finally:
        pool.close()
    return ""
