"""Carries out one training job: loads model and data, trains with checkpoints, and publishes the adapter."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import torch

from workbench import files
from workbench.cpu_budget.budget import CpuBudget
from workbench.errors import TrainingError, WorkbenchError
from workbench.settings import load_settings
from workbench.training import checkpoints
from workbench.training.checkpoints import TrainerState, TrainingCheckpoint
from workbench.training.child.adapter_check import check_adapter
from workbench.training.child.adapter_init import save_initial
from workbench.training.child.data_warnings import list_warnings
from workbench.training.child.environment import follow_cpu_budget
from workbench.training.child.evaluator import Evaluator, ValidationScorers
from workbench.training.child.labelled_positions import score_labelled_positions
from workbench.training.child.progress_callback import ProgressCallback
from workbench.training.child.publishing import Outcome, finish
from workbench.training.child.rollouts import RolloutSource, open_rollouts
from workbench.training.child.sharding import describe_sharding, shard_on_cpu
from workbench.training.child.tokenized_dataset import check_parity, unpack_documents
from workbench.training.child.trackers import Trackers
from workbench.training.child.trainers import make_trainer
from workbench.training.child.training_data import TrainingData, load_data, make_columns, trace_data
from workbench.training.child.training_model import TrainingModel, load_training_model, pick_device
from workbench.training.events import (
    JobEnded,
    JobEvaluated,
    JobEvent,
    JobNotice,
    JobSaved,
    JobStage,
    JobStarted,
    Journal,
    read_events,
)
from workbench.training.job_dir import JobDir
from workbench.training.manifest import DataTrace
from workbench.training.recipe import Recipe, count_batches
from workbench.training.recipe_file import parse_stored_recipe
from workbench.training.task import Task, open_task

EmitJobEvent = Callable[[JobEvent], None]

_MEMORY_HINT = (
    "Lower training.batch_size and raise training.gradient_accumulation_steps accordingly, set"
    " training.gradient_checkpointing, lower training.max_length, or choose a smaller base."
)


def run_job(job_dir: JobDir, leads: bool = True, cpu_budget: CpuBudget | None = None) -> JobEnded:
    """Train what a job's folder says, or resume it from its last checkpoint; how it ended.

    leads: whether this process is the one of several that writes. cpu_budget: where the cores are shared with others.
    Never raises for what a person can do something about.
    """
    journal = Journal(job_dir.events) if leads else None

    trackers: Trackers | None = None

    def emit(event: JobEvent) -> None:
        if journal:
            journal.write(event)
        if trackers:
            trackers.on_event(event)

    def track(recipe: Recipe) -> None:
        nonlocal trackers
        trackers = Trackers(recipe, job_dir, emit) if leads and recipe.report_to else None

    try:
        ended = TrainingRun(job_dir, emit, leads, cpu_budget, track).run()
    except BaseException as error:
        ended = _describe_failure(error)
        emit(ended)
        if not isinstance(error, Exception):
            raise
    else:
        emit(ended)
    finally:
        if journal:
            journal.close()
    return ended


class TrainingRun:
    """One attempt at a job."""

    def __init__(
        self,
        job_dir: JobDir,
        emit: EmitJobEvent,
        leads: bool,
        cpu_budget: CpuBudget | None = None,
        track: Callable[[Recipe], None] = lambda _: None,
    ) -> None:
        """track: told the recipe as soon as it is read."""
        self._job_dir = job_dir
        self._emit = emit
        self._leads = leads
        self._cpu_budget = cpu_budget
        self._track = track
        self._earlier = read_events(job_dir.events).events
        self._rollouts: RolloutSource | None = None

    def run(self) -> JobEnded:
        """Carry it out. Raises WorkbenchError."""
        try:
            return self._run()
        finally:
            if self._rollouts:
                self._rollouts.close()

    def _run(self) -> JobEnded:
        self._stage("reading")
        meta = self._job_dir.meta
        recipe = parse_stored_recipe(meta.recipe, meta.path or self._job_dir.folder.name)
        task = open_task(recipe, Path(meta.folder), load_settings(), meta.name)
        self._track(recipe)
        if self._leads:
            checkpoints.remove_partial(self._job_dir.checkpoints)
        checkpoint = next(reversed(checkpoints.find_checkpoints(self._job_dir.checkpoints)), None)
        self._stage("loading")
        shard_on_cpu()
        loaded = load_training_model(task, pick_device(recipe))
        if self._cpu_budget:
            follow_cpu_budget(self._cpu_budget, loaded.model)
        self._stage("reading")
        data = load_data(task, loaded)
        traces = trace_data(task, data)
        self._check_data(task, loaded, data, traces)
        callback = self._prepare(task, loaded, data, checkpoint)
        if not callback.stopped:
            _train(callback.trainer, checkpoint)
        if callback.best and callback.keep:
            self._stage("saving")
        return finish(Outcome(task, self._job_dir, callback, data, traces, self._leads))

    def _check_data(self, task: Task, loaded: TrainingModel, data: TrainingData, traces: tuple[DataTrace, ...]) -> None:
        """Emit what should be known of the data. Raise TrainingError for data that changed since the job began."""
        check_parity(loaded, data.train)
        if not any(isinstance(event, JobStarted) for event in self._earlier):
            for sentence in (*task.data_notes, *list_warnings(task, loaded, data)):
                self._notice(sentence)
        file = self._job_dir.folder / "data.json"
        if not file.exists():
            if self._leads:
                files.write_text(file, msgspec.json.encode(traces).decode())
            return
        before = msgspec.json.decode(file.read_bytes(), type=tuple[DataTrace, ...])
        changed = [new.path for old, new in zip(before, traces, strict=False) if old != new]
        if changed or len(before) != len(traces):
            raise TrainingError(
                f"The data have changed since this job began: {', '.join(changed) or 'a split was added or removed'}.",
                "Restore the old files to resume it, or start a new job.",
            )

    def _prepare(
        self, task: Task, loaded: TrainingModel, data: TrainingData, checkpoint: TrainingCheckpoint | None
    ) -> ProgressCallback:
        """The callback with its trainer, ready to train."""
        scorers = ValidationScorers(task.scorers, task.folder)
        evaluator = Evaluator(task, loaded, scorers, data.validation)
        evaluator.base = self._find_base_answers()
        state = checkpoint.trainer_state if checkpoint else TrainerState(0)
        callback = ProgressCallback(
            task.recipe, self._job_dir, self._emit, evaluator, loaded.rate, state, self._cpu_budget
        )
        train, validation = make_columns(data, task, loaded)
        self._rollouts = open_rollouts(task, loaded, data.train, self._job_dir, self._leads)
        packed = unpack_documents(task.recipe, data.train)
        trainer = make_trainer(packed, loaded, self._job_dir.checkpoints, train, validation, callback, self._rollouts)
        trainer.trainer_state, trainer.on_saved = callback.trainer_state, self._make_saver(callback)
        callback.trainer = trainer
        save_initial(trainer, task, self._job_dir, checkpoint is not None, self._leads)
        refused = check_adapter(trainer.model, task)
        if self._rollouts:
            self._rollouts.forget_after(checkpoint.step if checkpoint else 0)
        if not checkpoint:
            sampled = self._rollouts.notes if self._rollouts else ()
            sharding = describe_sharding(loaded.device, task.recipe.evaluation.cases)
            for sentence in (*scorers.notes, *sampled, *filter(None, [refused, sharding])):
                self._notice(sentence)
        _share_folder(trainer)
        if trainer.accelerator.num_processes == 1:
            callback.handle_sigterm()
        self._emit(_describe_start(task.recipe, loaded, callback, checkpoint, len(train), len(validation or ())))
        self._stage("training")
        return callback

    def _find_base_answers(self) -> dict[int, str]:
        """What the base answered, from an earlier attempt."""
        first = next((e for e in self._earlier if isinstance(e, JobEvaluated) and e.step == 0), None)
        return {sample.case: sample.answer for sample in first.samples} if first else {}

    def _make_saver(self, callback: ProgressCallback) -> Callable[[Path], None]:
        def saved(path: Path) -> None:
            step = int(callback.trainer.state.global_step)
            best = callback.best.step if callback.best else None
            checkpoints.prune(self._job_dir.checkpoints, best)
            self._emit(JobSaved(time.time(), step, str(path), step == best))

        return saved

    def _stage(self, stage: Any) -> None:
        self._emit(JobStage(time.time(), stage))

    def _notice(self, text: str) -> None:
        self._emit(JobNotice(time.time(), text))


def _describe_start(
    recipe: Recipe,
    loaded: TrainingModel,
    callback: ProgressCallback,
    checkpoint: TrainingCheckpoint | None,
    rows: int,
    held: int,
) -> JobStarted:
    trainer = callback.trainer
    args = trainer.args
    batches = count_batches(recipe, rows, trainer.accelerator.num_processes)
    updates = max(1, batches // args.gradient_accumulation_steps)
    steps = args.max_steps if args.max_steps > 0 else int(-(-updates * args.num_train_epochs // 1))
    trainer.state.max_steps = steps
    parameters = list(trainer.model.parameters())
    return JobStarted(
        at=time.time(),
        pid=os.getpid(),
        step=checkpoint.step if checkpoint else 0,
        steps=steps,
        epochs=round(steps / updates, 2),
        rows=rows,
        validation_rows=held,
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        parameters=sum(p.numel() for p in parameters),
        device=str(loaded.device),
        dtype=str(loaded.dtype).removeprefix("torch."),
        learning_rate=loaded.rate,
        eval_steps=callback.eval_steps,
        processes=trainer.accelerator.num_processes,
    )


def _train(trainer: Any, checkpoint: TrainingCheckpoint | None) -> None:
    try:
        with score_labelled_positions():
            trainer.train(resume_from_checkpoint=str(checkpoint.path) if checkpoint else None)
    except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _is_out_of_memory(error):
            raise
        raise TrainingError(f"Out of memory in training on {trainer.args.device}.", _MEMORY_HINT, str(error)) from error


def _share_folder(trainer: Any) -> None:
    """Let every process write into the folder of the one that leads."""
    if trainer.accelerator.num_processes > 1:
        from accelerate.utils import broadcast_object_list

        shared = [str(trainer.args.output_dir)]
        broadcast_object_list(shared)
        trainer.args.output_dir = shared[0]


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether a library ran out of memory, by its type or its words."""
    words = str(error).lower()
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        sign in words for sign in ("out of memory", "can't allocate memory", "not enough memory")
    )


def _describe_failure(error: BaseException) -> JobEnded:
    """What went wrong, for a person; with the traceback as details for an unexpected error."""
    now = time.time()
    if isinstance(error, WorkbenchError):
        return JobEnded(now, "failed", error.message, error.hint, error.details)
    details = "".join(traceback.format_exception(error))
    if isinstance(error, Exception) and _is_out_of_memory(error):
        return JobEnded(now, "failed", "Out of memory.", _MEMORY_HINT, details)
    if isinstance(error, KeyboardInterrupt):
        return JobEnded(now, "stopped", "It was interrupted.", "Resume it: workbench train --resume", "")
    lines = str(error).strip().splitlines()
    reason = f"Training failed: {type(error).__name__}: {lines[0] if lines else 'no message'}"
    return JobEnded(now, "failed", reason, "See the job's log. Its checkpoints are kept.", details)
