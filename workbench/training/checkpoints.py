"""Checkpoints of a training on disk, each complete or not there at all.

A checkpoint is committed in this order, so that a kill or a power cut at any moment leaves the earlier ones usable: its
files are written into a hidden folder and synced; then its manifest with their sizes; then the folder is renamed, which
is atomic; then the parent folder is synced, without which the rename itself may be lost.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from workbench import files
from workbench.training.divergence_monitor import MonitorState
from workbench.training.events import JobEvaluated, upgrade_event

MANIFEST = "checkpoint.json"
SAVING = ".saving"


class TrainerState(msgspec.Struct, frozen=True):
    """Where a training stands. tokens, seconds: so far. best: the best evaluation so far, and evals_since_best how many
    came after it. files: name -> bytes of every file of the checkpoint.
    """

    step: int
    tokens: int = 0
    seconds: float = 0.0
    best: JobEvaluated | None = None
    evals_since_best: int = 0
    monitor: MonitorState = MonitorState()
    files: dict[str, int] = {}


class TrainingCheckpoint(msgspec.Struct, frozen=True):
    """A committed checkpoint."""

    path: Path
    trainer_state: TrainerState

    @property
    def step(self) -> int:
        return self.trainer_state.step


def find_checkpoints(folder: Path) -> tuple[TrainingCheckpoint, ...]:
    """The committed checkpoints in a folder, the earliest first."""
    found = [checkpoint for path in folder.glob("checkpoint-*") if (checkpoint := _read(path))]
    return tuple(sorted(found, key=lambda checkpoint: checkpoint.step))


def commit_checkpoint(folder: Path, name: str, trainer_state: TrainerState) -> Path:
    """Commit a checkpoint that was written into SAVING/name; where it is now. Raises OSError."""
    written = folder / SAVING / name
    sizes = {str(path.relative_to(written)): path.stat().st_size for path in _list_files(written)}
    for path in _list_files(written):
        _sync(path)
    manifest = msgspec.json.encode(msgspec.structs.replace(trainer_state, files=sizes)).decode()
    files.write_text(written / MANIFEST, manifest)
    target = folder / name
    if target.exists():  # from an attempt that was killed later: the same checkpoint
        shutil.rmtree(target)
    written.rename(target)
    with contextlib.suppress(OSError):  # something else may be written there
        written.parent.rmdir()
    _sync(folder)
    return target


def remove_partial(folder: Path) -> None:
    """Remove a checkpoint that was being written when its process ended."""
    shutil.rmtree(folder / SAVING, ignore_errors=True)


def prune(folder: Path, best: int | None) -> None:
    """Keep the latest checkpoint and the best one."""
    found = find_checkpoints(folder)
    for checkpoint in found[:-1]:
        if checkpoint.step != best:
            shutil.rmtree(checkpoint.path, ignore_errors=True)


def _read(path: Path) -> TrainingCheckpoint | None:
    try:
        trainer_state = _decode((path / MANIFEST).read_bytes())
        whole = all((path / name).stat().st_size == size for name, size in trainer_state.files.items())
    except (OSError, msgspec.DecodeError):
        return None
    return TrainingCheckpoint(path, trainer_state) if whole else None


_RENAMED_STATE = {
    "first": "first_loss",
    "recent": "recent_losses",
    "lowest": "lowest_mean",
    "high": "exploded_steps",
    "losses": "evaluations",
    "parted": "overfitting",
    "end_before": "initial_end_logprob",
}


def _decode(manifest: bytes) -> TrainerState:
    """A manifest, also as an earlier version wrote it, so that its jobs can be resumed."""
    raw = msgspec.json.decode(manifest, type=dict[str, Any])
    if "guard" in raw:
        raw["monitor"] = {_RENAMED_STATE.get(key, key): value for key, value in raw.pop("guard").items()}
        raw["evals_since_best"] = raw.pop("worse", 0)
        raw["best"] = upgrade_event(raw["best"]) if raw.get("best") else None
    return msgspec.convert(raw, TrainerState)


def _list_files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
