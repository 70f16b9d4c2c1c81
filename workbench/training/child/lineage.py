"""Lineage: what an adapter came from, as its manifest keeps it.

Knows nothing of how it was trained, or where it is put.
"""

from __future__ import annotations

import time
from importlib import metadata
from pathlib import Path

import msgspec

from workbench import files, paths
from workbench.store.fingerprints import fingerprint
from workbench.store.store import Store
from workbench.training.child.lessons import Lessons
from workbench.training.child.watcher import Watcher
from workbench.training.manifest import DataTrace, Manifest, Measured
from workbench.training.place import Place
from workbench.training.progress import JobExamined
from workbench.training.task import Task

_LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate")


def trace(task: Task, role: str, lessons: Lessons | None) -> tuple[DataTrace, ...]:
    """Where the rows of a role come from; nothing where there are none."""
    cases = task.train if role == "train" else task.validation
    if cases is None or lessons is None:
        return ()
    return (DataTrace("train" if role == "train" else "validation", str(cases.path), cases.digest, len(lessons.rows)),)


def describe(
    task: Task,
    place: Place,
    watcher: Watcher,
    traces: tuple[DataTrace, ...],
    best: JobExamined,
    base: JobExamined | None,
) -> Manifest:
    """The manifest of the state that is kept. base: the examination before anything was learned."""
    prompt = task.prompt
    return Manifest(
        name=task.name,
        version=1,
        created=time.time(),
        method=task.recipe.method.kind + (" by preference" if task.recipe.preference else ""),
        base=str(task.base.path.absolute()),
        base_digest=_fingerprint(task.base.path),
        recipe=place.header.recipe,
        job=place.folder.name,
        parent=task.parent.name if task.parent else "",
        prompt=prompt.name if prompt else "",
        prompt_digest=files.digest_text(msgspec.json.encode(prompt).decode()) if prompt else "",
        data=traces,
        metrics=_measure(traces, best),
        validation_loss=best.validation_loss,
        baseline=base.scores if base else {},
        best_step=best.step,
        steps=int(watcher.trainer.state.global_step),
        tokens=watcher.tokens,
        seconds=watcher.seconds,
        parameters=sum(p.numel() for p in watcher.trainer.model.parameters() if p.requires_grad),
        libraries={name: metadata.version(name) for name in _LIBRARIES},
    )


def _measure(traces: tuple[DataTrace, ...], best: JobExamined) -> Measured:
    held = next((trace for trace in traces if trace.role == "validation"), None)
    path, digest = (held.path, held.digest) if held else ("", "")
    return Measured(best.scores, best.cases, path, digest, best.at, free=best.free)


def _fingerprint(path: Path) -> str:
    store = Store(paths.data_folder() / "workbench.sqlite")
    try:
        return fingerprint(store, path.absolute())
    finally:
        store.close()
