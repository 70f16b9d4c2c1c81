"""Preview: a training looked at before it begins, by the code that would carry it out.

Knows nothing of who asks; the answer goes into a file of the folder that was given.
"""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil
import torch

from workbench import files
from workbench.cores.lease import Lease
from workbench.errors import TrainingError, WorkbenchError
from workbench.settings import load_settings
from workbench.training.child.adapter_check import check_adapter
from workbench.training.child.learner import Learner, load_learner, pick_device
from workbench.training.child.lessons import Lessons, encode_rows
from workbench.training.child.remarks import describe_rows
from workbench.training.child.resources import follow, step_back
from workbench.training.dry_run import Answer as Written
from workbench.training.dry_run import DryRun, Piece, Preview, refuse
from workbench.training.judge import Judge
from workbench.training.pairs import read_pairs
from workbench.training.place import Place
from workbench.training.recipe import parse_recipe
from workbench.training.rows import Rendered, find_overlap, render_training, render_validation
from workbench.training.task import Task, open_task

SHOWN = 4


def look(place: Place, lease: Lease | None = None) -> DryRun:
    """What the job in a folder would do, with the cores that are there now. Raises WorkbenchError."""
    header = place.header
    recipe = parse_recipe(header.recipe, "The recipe")
    task = open_task(recipe, Path(header.folder), load_settings(), header.name)
    rendered, held = _render(task), render_validation(task)
    validation = held.rows
    device = pick_device(recipe)
    learner = load_learner(task, device)
    if lease:
        follow(lease, learner.model)
    taught = encode_rows(learner, recipe, rendered.rows)
    examined = encode_rows(learner, recipe, held.rows) if held.rows else None
    remarks = describe_rows(task, learner, rendered, taught, held, examined)
    model = _lay_over(learner)
    refused = check_adapter(model, task)
    step_seconds, memory = _try_out(learner, model, taught, task)
    steps, epochs = count_steps(task, len(taught.rows))
    examinations = 11 if recipe.evaluation.every is None else steps // recipe.evaluation.every + 1
    shared = find_overlap(taught.rows, validation)
    only = recipe.training.completion_only
    parameters = list(model.parameters())
    answers = min(recipe.evaluation.cases, len(validation)) / 32 * (step_seconds or 0) * 2
    loss_pass = len(validation) / recipe.training.batch * (step_seconds or 0) / 2
    return DryRun(
        base=str(task.base.path),
        method=recipe.method.kind,
        rows=len(taught.rows),
        validation_rows=_count_held(task) if recipe.preference else len(validation),
        tokens=taught.tokens,
        learned_tokens=sum(sum(label >= 0 for label in one.labels(only)[: taught.limit]) for one in taught.encoded),
        longest=max(len(one.ids) for one in taught.encoded),
        limit=taught.limit,
        steps=steps,
        epochs=epochs,
        learning_rate=learner.rate,
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        parameters=sum(p.numel() for p in parameters),
        device=str(device),
        dtype=str(learner.dtype).removeprefix("torch."),
        threads=torch.get_num_threads(),
        cut=taught.cut,
        lost=taught.lost,
        unlabelled=len(rendered.unlabelled),
        overlap=shared,
        seconds=None if step_seconds is None else steps * step_seconds + examinations * (answers + loss_pass),
        step_seconds=step_seconds,
        memory_bytes=memory,
        free_bytes=_free(device),
        notes=(*filter(None, (*remarks, refused)), *Judge(task.scorers, task.folder).notes),
        previews=tuple(_show(learner, taught, at, only) for at in range(min(SHOWN, len(taught.rows)))),
    )


def count_steps(task: Task, rows: int) -> tuple[int, float]:
    """Updates, and epochs, of so many rows in one process."""
    school = task.recipe.training
    updates = max(1, -(-rows // school.batch) // school.accumulation)
    steps = school.steps or int(-(-updates * school.epochs // 1))
    return steps, round(steps / updates, 2)


def _render(task: Task) -> Rendered:
    if not task.recipe.preference:
        return render_training(task)
    return Rendered(tuple(pair.row for pair in read_pairs(task).train), ())


def _count_held(task: Task) -> int:
    """Pairs of answers that are held out."""
    return len(read_pairs(task).validation)


def _lay_over(learner: Learner) -> Any:
    import peft

    return peft.get_peft_model(learner.model, learner.config) if learner.config else learner.model


def _try_out(learner: Learner, model: Any, lessons: Lessons, task: Task) -> tuple[float | None, int | None]:
    """Seconds of an update and the memory it takes, from two of them; the model is thrown away afterwards."""
    school = task.recipe.training
    chosen = sorted(lessons.encoded, key=lambda one: -len(one.ids))[: school.batch]
    width = min(max(len(one.ids) for one in chosen), lessons.limit)
    ids = torch.zeros((len(chosen), width), dtype=torch.long)
    labels = torch.full((len(chosen), width), -100)
    for row, one in enumerate(chosen):
        length = min(len(one.ids), width)
        ids[row, :length] = torch.tensor(one.ids[:length])
        labels[row, :length] = torch.tensor(one.labels(school.completion_only)[:length])
    if school.gradient_checkpointing:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable()
    model.train()
    try:
        times = [_update(learner, model, ids.to(learner.device), labels.to(learner.device)) for _ in range(2)]
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise TrainingError(
            f"One batch of {len(chosen)} rows of {width} tokens does not fit into the memory of {learner.device}.",
            "Lower training.batch and raise training.accumulation, or set training.gradient_checkpointing.",
            str(error),
        ) from error
    typical = lessons.tokens / len(lessons.encoded) / width
    return times[1] * school.accumulation * max(typical, 0.3), _memory(learner)


def _update(learner: Learner, model: Any, ids: torch.Tensor, labels: torch.Tensor) -> float:
    began = time.monotonic()
    with torch.autocast(learner.device.type, learner.dtype, enabled=learner.autocasts):
        loss = model(input_ids=ids, labels=labels, use_cache=False).loss
    loss.backward()
    if learner.device.type == "cuda":
        torch.cuda.synchronize()
    return time.monotonic() - began


def _memory(learner: Learner) -> int:
    if learner.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    held: int = psutil.Process().memory_info().rss
    return held


def _free(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    free: int = psutil.virtual_memory().available
    return free


def _show(learner: Learner, lessons: Lessons, at: int, only: bool) -> Preview:
    one, row = lessons.encoded[at], lessons.rows[at]
    labels = one.labels(only)
    pieces = tuple(
        Piece(learner.vocabulary.spell(token).decode("utf-8", "replace"), label >= 0, token)
        for token, label in list(zip(one.ids, labels, strict=True))[: lessons.limit]
    )
    return Preview(row.case, pieces, row.messages, row.mode, min(one.prompt, lessons.limit))


def main() -> None:
    """Write what is to be seen, or why there is nothing, into the folder that is the one argument."""
    folder = Path(sys.argv[1])
    with contextlib.suppress(KeyboardInterrupt):
        place = Place(folder)
        with contextlib.closing(step_back()) as lease:
            try:
                written = Written(look(place, lease))
            except WorkbenchError as error:
                written = refuse(error)
        files.write_text(folder / "preview.json", msgspec.json.encode(written).decode(), durable=False)
