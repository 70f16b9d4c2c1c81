"""Publishes the best checkpoint of a training as an adapter, and describes where it comes from in its manifest."""

from __future__ import annotations

import time
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench import files, paths, yaml_document
from workbench.datasets.row_digests import merge_digests, read_digests
from workbench.errors import FileError, TrainingError
from workbench.store.fingerprints import fingerprint
from workbench.store.store import Store
from workbench.training import checkpoints
from workbench.training.child.adapter_init import to_plain_lora
from workbench.training.child.progress_callback import ProgressCallback
from workbench.training.child.training_data import TrainingData, digest_data
from workbench.training.divergence_monitor import describe_end_probability
from workbench.training.events import JobEnded, JobEvaluated, is_share, read_events
from workbench.training.job_dir import JobDir
from workbench.training.manifest import DatasetScores, DataTrace, Manifest
from workbench.training.recipe import find_objective
from workbench.training.registry import Registry
from workbench.training.task import Task
from workbench.units import format_score

_LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate")


class Outcome(NamedTuple):
    """A training that has ended. traces: where its data come from. leads: whether this process writes the adapter."""

    task: Task
    job_dir: JobDir
    callback: ProgressCallback
    data: TrainingData
    traces: tuple[DataTrace, ...]
    leads: bool

    @property
    def step(self) -> int:
        return int(self.callback.trainer.state.global_step)

    @property
    def base(self) -> JobEvaluated | None:
        """The evaluation before the first update."""
        events = read_events(self.job_dir.events).events
        return next((event for event in events if isinstance(event, JobEvaluated) and event.step == 0), None)


def finish(outcome: Outcome) -> JobEnded:
    """Publish the adapter, unless it was stopped without one. Raises TrainingError and FileError."""
    callback = outcome.callback
    best, early = callback.best, callback.stopped
    if early and not callback.keep:
        return JobEnded(
            time.time(),
            "stopped",
            f"{early} No adapter was made.",
            "Resume it from its last checkpoint: workbench train --resume",
            step=outcome.step,
            tokens=callback.tokens,
            seconds=callback.seconds,
        )
    if best is None:
        raise TrainingError("Training ended before the first evaluation.", "Use more rows, epochs or updates.")
    adapter = _publish(outcome, best) if outcome.leads else Path()
    return JobEnded(
        time.time(),
        "stopped" if callback.stopped_by_user else "done",
        f"{early or 'Training finished.'} The adapter is the checkpoint of update {best.step} of {outcome.step}.",
        f"{_compare_with_base(outcome, best)} {describe_end_probability(best.end_logprob)}".strip(),
        step=outcome.step,
        best_step=best.step,
        adapter=str(adapter),
        scores=best.scores,
        validation_loss=best.validation_loss,
        tokens=callback.tokens,
        seconds=callback.seconds,
    )


def _compare_with_base(outcome: Outcome, best: JobEvaluated) -> str:
    """A sentence where the adapter is no better than the base; else nothing."""
    base = outcome.base
    before = base.scores.get(best.metric) if base else None
    after = best.scores.get(best.metric)
    if before is None or after is None:
        return ""
    if (after < before) if outcome.callback.lower_is_better else (after > before):
        return ""
    share = is_share(best.metric, best.free)
    return (
        f"It is no better than the base ({best.metric} {format_score(after, share)}, base"
        f" {format_score(before, share)}): check the samples, then try another learning rate, more rows, or another"
        " prompt."
    )


def _publish(outcome: Outcome, best: JobEvaluated) -> Path:
    found = checkpoints.find_checkpoints(outcome.job_dir.checkpoints)
    checkpoint = next((one for one in found if one.step == best.step), None)
    if checkpoint is None:
        raise FileError(f"The checkpoint of update {best.step} is missing.", "Train again.")
    parent = outcome.task.parent
    inherited = read_digests(parent.path) if parent else None
    digests = merge_digests((*digest_data(outcome.task, outcome.data), *(inherited or ())))
    folder = to_plain_lora(outcome.callback.trainer, outcome.task, outcome.job_dir, checkpoint.path)
    return Registry().publish(folder, _make_manifest(outcome, best), digests)


def _make_manifest(outcome: Outcome, best: JobEvaluated) -> Manifest:
    task, callback, base = outcome.task, outcome.callback, outcome.base
    prompt, objective = task.prompt, find_objective(task.recipe).name
    return Manifest(
        name=task.name,
        version=1,
        created=time.time(),
        method=task.recipe.method.kind + ("" if objective == "sft" else f", {objective}"),
        base=str(task.base.path.absolute()),
        base_digest=_fingerprint(task.base.path),
        recipe=yaml_document.encode(task.recipe, outcome.job_dir.meta.recipe),
        job=outcome.job_dir.folder.name,
        parent=task.parent.name if task.parent else "",
        prompt=prompt.name if prompt else "",
        prompt_digest=files.digest_text(msgspec.json.encode(prompt).decode()) if prompt else "",
        data=outcome.traces,
        metrics=_describe_scores(outcome.traces, best),
        validation_loss=best.validation_loss,
        baseline=base.scores if base else {},
        best_step=best.step,
        steps=outcome.step,
        tokens=callback.tokens,
        seconds=callback.seconds,
        parameters=sum(p.numel() for p in callback.trainer.model.parameters() if p.requires_grad),
        libraries={name: metadata.version(name) for name in _LIBRARIES},
    )


def _describe_scores(traces: tuple[DataTrace, ...], best: JobEvaluated) -> DatasetScores:
    held = next((trace for trace in traces if trace.role == "validation"), None)
    path, digest = (held.path, held.digest) if held else ("", "")
    return DatasetScores(best.scores, best.cases, path, digest, best.at, free=best.free)


def _fingerprint(path: Path) -> str:
    store = Store(paths.data_folder() / "workbench.sqlite")
    try:
        return fingerprint(store, path.absolute())
    finally:
        store.close()
