"""The process of a dry run: what a training would do, by the code that would carry it out."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import psutil
import torch

from workbench.cpu_budget.budget import CpuBudget
from workbench.errors import TrainingError, WorkbenchError
from workbench.inference.worker.child import ParentChannel
from workbench.inference.worker.frames import FrameCodec
from workbench.settings import load_settings
from workbench.training.child.adapter_check import check_adapter
from workbench.training.child.data_warnings import list_warnings
from workbench.training.child.environment import follow_cpu_budget, lower_priority
from workbench.training.child.evaluator import ValidationScorers
from workbench.training.child.memory import count_optimizer_bytes, measure_free
from workbench.training.child.time_estimate import estimate_seconds, sum_sampling, time_rollouts
from workbench.training.child.tokenized_dataset import TokenizedDataset
from workbench.training.child.training_data import load_data
from workbench.training.child.training_model import TrainingModel, load_training_model, pick_device
from workbench.training.dry_run import DryRun, DryRunReply, DryRunRequest, PreviewToken, RowPreview, refuse
from workbench.training.job_dir import JobDir, JobMeta
from workbench.training.recipe import count_batches, find_objective
from workbench.training.recipe_file import parse_recipe
from workbench.training.rows import find_overlap
from workbench.training.task import Task, open_task

SHOWN = 4


def preview_training(job_dir: JobDir, cpu_budget: CpuBudget | None = None) -> DryRun:
    """What the job in a folder would do, with the cores that are free now. Raises WorkbenchError."""
    meta = job_dir.meta
    recipe = parse_recipe(meta.recipe, "The recipe")
    task = open_task(recipe, Path(meta.folder), load_settings(), meta.name)
    device = pick_device(recipe)
    loaded = load_training_model(task, device)
    if cpu_budget:
        follow_cpu_budget(cpu_budget, loaded.model)
    data = load_data(task, loaded)
    train, only = data.train, recipe.training.completion_only_loss
    warnings = list_warnings(task, loaded, data)
    model = _add_adapter(loaded)
    refused = check_adapter(model, task)
    step_seconds, memory = _time_updates(loaded, model, train, task)
    steps, epochs = count_steps(task, len(train.rows))
    parameters = list(model.parameters())
    samples = find_objective(recipe).data == "prompts"
    rollouts = time_rollouts(loaded, model, data, task) if samples else None
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    states = count_optimizer_bytes(recipe, trainable)
    return DryRun(
        base=str(task.base.path),
        method=recipe.method.kind,
        rows=len(train.rows),
        validation_rows=data.held_out,
        data=task.data_notes,
        tokens=train.tokens,
        learned_tokens=sum(sum(label >= 0 for label in one.labels(only)[: train.limit]) for one in train.encoded),
        longest=max(len(one.ids) for one in train.encoded),
        limit=train.limit,
        steps=steps,
        epochs=epochs,
        learning_rate=loaded.rate,
        trainable=trainable,
        parameters=sum(p.numel() for p in parameters),
        device=str(device),
        dtype=str(loaded.dtype).removeprefix("torch."),
        threads=torch.get_num_threads(),
        cut=train.cut,
        lost=train.lost,
        unlabelled=len(data.rendered.unlabelled),
        overlap=find_overlap(train.rows, data.rendered_validation.rows),
        seconds=estimate_seconds(task, data, steps, step_seconds, rollouts) if step_seconds else None,
        step_seconds=step_seconds,
        sampling=sum_sampling(task, rollouts, steps) if rollouts else None,
        memory_bytes=memory + states if memory else None,
        optimizer_bytes=states,
        free_bytes=measure_free(device),
        notes=(*filter(None, (*warnings, refused)), *ValidationScorers(task.scorers, task.folder).notes),
        previews=tuple(_show(loaded, train, index, only) for index in range(min(SHOWN, len(train.rows)))),
    )


def count_steps(task: Task, rows: int) -> tuple[int, float]:
    """Updates, and epochs, of so many rows in one process."""
    training = task.recipe.training
    updates = max(1, count_batches(task.recipe, rows) // training.gradient_accumulation_steps)
    steps = training.max_steps or int(-(-updates * training.epochs // 1))
    return steps, round(steps / updates, 2)


def _add_adapter(loaded: TrainingModel) -> Any:
    import peft

    return peft.get_peft_model(loaded.model, loaded.config) if loaded.config else loaded.model


def _time_updates(
    loaded: TrainingModel, model: Any, tokenized: TokenizedDataset, task: Task
) -> tuple[float | None, int | None]:
    """Seconds of an update and the memory it takes, from two of them; the model is thrown away afterwards."""
    training = task.recipe.training
    chosen = sorted(tokenized.encoded, key=lambda one: -len(one.ids))[: training.batch_size]
    width = min(max(len(one.ids) for one in chosen), tokenized.limit)
    ids = torch.zeros((len(chosen), width), dtype=torch.long)
    labels = torch.full((len(chosen), width), -100)
    for row, one in enumerate(chosen):
        length = min(len(one.ids), width)
        ids[row, :length] = torch.tensor(one.ids[:length])
        labels[row, :length] = torch.tensor(one.labels(training.completion_only_loss)[:length])
    if training.gradient_checkpointing:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable()
    model.train()
    try:
        times = [_update(loaded, model, ids.to(loaded.device), labels.to(loaded.device)) for _ in range(2)]
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise TrainingError(
            f"One batch of {len(chosen)} rows of {width} tokens does not fit into the memory of {loaded.device}.",
            "Lower training.batch_size and raise training.gradient_accumulation_steps, or set"
            " training.gradient_checkpointing.",
            str(error),
        ) from error
    typical = tokenized.tokens / len(tokenized.encoded) / width
    return times[1] * training.gradient_accumulation_steps * max(typical, 0.3), _memory(loaded)


def _update(loaded: TrainingModel, model: Any, ids: torch.Tensor, labels: torch.Tensor) -> float:
    began = time.monotonic()
    with torch.autocast(loaded.device.type, loaded.dtype, enabled=loaded.autocasts):
        if model.config.num_labels == 1:  # a reward model gives a number and has no loss of its own
            loss = model(input_ids=ids, use_cache=False).logits.float().sum()
        else:
            loss = model(input_ids=ids, labels=labels, use_cache=False).loss
    loss.backward()
    if loaded.device.type == "cuda":
        torch.cuda.synchronize()
    return time.monotonic() - began


def _memory(loaded: TrainingModel) -> int:
    if loaded.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    held: int = psutil.Process().memory_info().rss
    return held


def _show(loaded: TrainingModel, tokenized: TokenizedDataset, at: int, only: bool) -> RowPreview:
    one, row = tokenized.encoded[at], tokenized.rows[at]
    labels = one.labels(only)
    pieces = tuple(
        PreviewToken(loaded.vocabulary.token_to_bytes(token).decode("utf-8", "replace"), label >= 0, token)
        for token, label in list(zip(one.ids, labels, strict=True))[: tokenized.limit]
    )
    return RowPreview(row.case, pieces, row.messages, row.mode, min(one.prompt, tokenized.limit), row.tools)


def main() -> None:
    """Reply with what is to be seen, or why there is nothing."""
    channel: ParentChannel[DryRunRequest] = ParentChannel(FrameCodec(DryRunRequest))
    request = channel.first()
    channel.listen()
    job_dir = JobDir(Path.cwd())
    job_dir.write_meta(JobMeta("preview", request.name, request.recipe, request.folder, 0.0))
    with contextlib.closing(lower_priority()) as cpu_budget:
        try:
            reply = DryRunReply(preview_training(job_dir, cpu_budget))
        except WorkbenchError as error:
            reply = refuse(error)
    channel.send(reply)
