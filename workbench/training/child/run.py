"""Run: one job carried out from its recipe to its adapter, and what went wrong said in a sentence.

Knows what comes after what; each part is told elsewhere.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import torch

from workbench import files
from workbench.cores.lease import Lease
from workbench.errors import FileError, TrainingError
from workbench.evaluation.row_digests import RowDigests, merge_digests, read_digests
from workbench.evaluation.words import format_score
from workbench.settings import load_settings
from workbench.training import checkpoints
from workbench.training.checkpoints import Bookmark, Checkpoint
from workbench.training.child.adapter_check import check_adapter
from workbench.training.child.examiner import Examiner
from workbench.training.child.failure import MEMORY, explain, is_memory
from workbench.training.child.learner import Learner, load_learner, pick_device
from workbench.training.child.lessons import Lessons, encode_rows, make_dataset, make_pairs
from workbench.training.child.lineage import describe, trace
from workbench.training.child.parity import check_parity
from workbench.training.child.remarks import describe_rows
from workbench.training.child.resources import follow
from workbench.training.child.trainers import make_dpo, make_sft
from workbench.training.child.watcher import Watcher
from workbench.training.guard import describe_end
from workbench.training.journal import Journal, read_events
from workbench.training.judge import Judge
from workbench.training.manifest import DataTrace
from workbench.training.pairs import Pairs, read_pairs
from workbench.training.place import Place
from workbench.training.progress import (
    JobBegan,
    JobEnded,
    JobEvent,
    JobExamined,
    JobNotice,
    JobSaved,
    JobStage,
    is_share,
)
from workbench.training.recipe import parse_recipe
from workbench.training.registry import Registry
from workbench.training.rows import Rendered, digest_rows, render_training, render_validation
from workbench.training.task import Task, open_task

Tell = Callable[[JobEvent], None]


def carry_out(place: Place, leads: bool = True, lease: Lease | None = None) -> JobEnded:
    """Train what a job's folder says, or go on where an earlier attempt ended; how it ended.

    leads: whether this process is the one of several that writes. lease: the cores to compute with, where they are
    shared with others. Never raises for what a person can do about.
    """
    journal = Journal(place.events) if leads else None

    def tell(event: JobEvent) -> None:
        if journal:
            journal.write(event)

    try:
        ended = Training(place, tell, leads, lease).run()
    except BaseException as error:
        ended = explain(error)
        tell(ended)
        if not isinstance(error, Exception):
            raise
    else:
        tell(ended)
    finally:
        if journal:
            journal.close()
    return ended


class Training:
    """One attempt at a job."""

    def __init__(self, place: Place, tell: Tell, leads: bool, lease: Lease | None = None) -> None:
        self._place = place
        self._tell = tell
        self._leads = leads
        self._lease = lease
        self._earlier = read_events(place.events).events
        self._digests: list[RowDigests] = []

    def run(self) -> JobEnded:
        """Carry it out. Raises WorkbenchError."""
        self._stage("reading")
        header = self._place.header
        recipe = parse_recipe(header.recipe, header.path or self._place.folder.name)
        task = open_task(recipe, Path(header.folder), load_settings(), header.name)
        if self._leads:
            checkpoints.sweep(self._place.checkpoints)
        state = self._find_state()
        self._stage("loading")
        learner = load_learner(task, pick_device(recipe))
        if self._lease:
            follow(self._lease, learner.model)
        watcher, traces = self._prepare(task, learner, state)
        trainer = watcher.trainer
        if not watcher.stopped:
            self._train(trainer, watcher, state)
        return self._end(task, watcher, traces)

    def _find_state(self) -> Checkpoint | None:
        found = checkpoints.find_checkpoints(self._place.checkpoints)
        return found[-1] if found else None

    def _prepare(self, task: Task, learner: Learner, state: Checkpoint | None) -> tuple[Watcher, tuple[DataTrace, ...]]:
        recipe = task.recipe
        self._stage("reading")
        judge = Judge(task.scorers, task.folder)
        for note in judge.notes if not state else ():
            self._notice(note)
        train, validation, lessons, traces = self._read(task, learner)
        self._check_data(traces)
        examiner = Examiner(task, learner, judge, lessons)
        examiner.base = self._recall()
        bookmark = state.bookmark if state else Bookmark(0)
        watcher = Watcher(recipe, self._place, self._tell, examiner, learner.rate, bookmark, self._lease)
        make = make_dpo if recipe.preference else make_sft
        trainer = make(recipe, learner, self._place.checkpoints, train, validation, watcher)
        trainer.bookmark, trainer.on_saved = watcher.bookmark, self._saver(watcher)
        watcher.trainer = trainer
        if (refused := check_adapter(trainer.model, task)) and not state:
            self._notice(refused)
        _share_folder(trainer)
        if trainer.accelerator.num_processes == 1:
            watcher.listen()
        self._begin(learner, watcher, state, len(train), len(validation) if validation else 0)
        return watcher, traces

    def _read(self, task: Task, learner: Learner) -> tuple[Any, Any, Lessons | None, tuple[DataTrace, ...]]:
        """The datasets to learn from and to examine on, the rows to answer, and where they come from."""
        rows = render_validation(task)
        lessons = encode_rows(learner, task.recipe, rows.rows) if rows.rows else None
        examined = trace(task, "validation", lessons)
        if lessons:
            self._digests.append(digest_rows("validation", task, lessons.rows))
        pairs = read_pairs(task) if task.recipe.preference else None
        rendered = Rendered(tuple(pair.row for pair in pairs.train), ()) if pairs else render_training(task)
        taught = encode_rows(learner, task.recipe, rendered.rows)
        check_parity(learner, taught)
        if not any(isinstance(event, JobBegan) for event in self._earlier):
            for sentence in describe_rows(task, learner, rendered, taught, rows, lessons):
                self._notice(sentence)
        if pairs:
            train, held = self._encode_pairs(learner, pairs, task)
            self._digests.append(digest_rows("preference", task, rendered.rows))
            origin = DataTrace("preference", pairs.path, pairs.digest, len(pairs.train))
            return train, held, lessons, (origin, *examined)
        self._digests.append(digest_rows("train", task, taught.rows))
        only = task.recipe.training.completion_only
        held = make_dataset(lessons, only) if lessons else None
        return make_dataset(taught, only), held, lessons, (*trace(task, "train", taught), *examined)

    def _encode_pairs(self, learner: Learner, pairs: Pairs, task: Task) -> tuple[Any, Any]:
        from workbench.training.child.lessons import longest

        limit = longest(learner, task.recipe)
        encoded = [
            make_pairs(((learner.encoder.encode(p.row), learner.encoder.join(p.row, p.rejected)) for p in part), limit)
            if part
            else None
            for part in (pairs.train, pairs.validation)
        ]
        return encoded[0], encoded[1]

    def _check_data(self, traces: tuple[DataTrace, ...]) -> None:
        """Raise TrainingError where the data are no longer those that the job began with."""
        file = self._place.folder / "data.json"
        if not file.exists():
            if self._leads:
                files.write_text(file, msgspec.json.encode(traces).decode())
            return
        before = msgspec.json.decode(file.read_bytes(), type=tuple[DataTrace, ...])
        changed = [new.path for old, new in zip(before, traces, strict=False) if old != new]
        if changed or len(before) != len(traces):
            raise TrainingError(
                f"The data have changed since this job began: {', '.join(changed) or 'a split came or went'}.",
                "Put the old file back to go on, or start a new job.",
            )

    def _recall(self) -> dict[int, str]:
        """What the base answered, from an earlier attempt."""
        first = next((e for e in self._earlier if isinstance(e, JobExamined) and e.step == 0), None)
        return {sample.case: sample.answer for sample in first.samples} if first else {}

    def _saver(self, watcher: Watcher) -> Callable[[Path], None]:
        def saved(path: Path) -> None:
            step = int(watcher.trainer.state.global_step)
            best = watcher.best.step if watcher.best else None
            checkpoints.prune(self._place.checkpoints, best)
            self._tell(JobSaved(time.time(), step, str(path), step == best))

        return saved

    def _begin(self, learner: Learner, watcher: Watcher, state: Checkpoint | None, rows: int, held: int) -> None:
        trainer = watcher.trainer
        school = trainer.args
        batches = -(-rows // (school.per_device_train_batch_size * trainer.accelerator.num_processes))
        updates = max(1, batches // school.gradient_accumulation_steps)
        steps = school.max_steps if school.max_steps > 0 else int(-(-updates * school.num_train_epochs // 1))
        trainer.state.max_steps = steps
        parameters = list(trainer.model.parameters())
        self._tell(
            JobBegan(
                at=time.time(),
                pid=os.getpid(),
                step=state.step if state else 0,
                steps=steps,
                epochs=round(steps / updates, 2),
                rows=rows,
                validation_rows=held,
                trainable=sum(p.numel() for p in parameters if p.requires_grad),
                parameters=sum(p.numel() for p in parameters),
                device=str(learner.device),
                dtype=str(learner.dtype).removeprefix("torch."),
                learning_rate=learner.rate,
                examine_every=watcher.every,
                processes=trainer.accelerator.num_processes,
            )
        )
        self._stage("training")

    def _train(self, trainer: Any, watcher: Watcher, state: Checkpoint | None) -> None:
        try:
            trainer.train(resume_from_checkpoint=str(state.path) if state else None)
        except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not is_memory(error):
                raise
            raise TrainingError(
                f"There was not enough memory to train ({learner_device(trainer)}).", MEMORY, str(error)
            ) from error

    # --- the end -------------------------------------------------------------------------------------------------

    def _end(self, task: Task, watcher: Watcher, traces: tuple[DataTrace, ...]) -> JobEnded:
        step = int(watcher.trainer.state.global_step)
        best = watcher.best
        early = watcher.stopped
        if early and not watcher.keep:
            return JobEnded(
                time.time(),
                "stopped",
                f"{early} No adapter was made.",
                "`workbench train --resume` goes on from where it stopped.",
                step=step,
                tokens=watcher.tokens,
                seconds=watcher.seconds,
            )
        if best is None:
            raise TrainingError("It ended before anything was learned.", "Give it more rows, or more updates.")
        self._stage("saving")
        adapter = self._publish(task, watcher, traces, best) if self._leads else Path()
        by_person = early.startswith("It was stopped")
        return JobEnded(
            time.time(),
            "stopped" if by_person else "done",
            f"{early or 'It came to its end.'} The adapter holds the state of update {best.step} of {step}.",
            f"{self._compare(best)} {describe_end(best.end_logprob)}".strip(),
            step=step,
            best_step=best.step,
            adapter=str(adapter),
            scores=best.scores,
            validation_loss=best.validation_loss,
            tokens=watcher.tokens,
            seconds=watcher.seconds,
        )

    def _compare(self, best: JobExamined) -> str:
        """A sentence where nothing that was learned is better than the base; else nothing."""
        events = read_events(self._place.events).events
        first = next((event for event in events if isinstance(event, JobExamined) and event.step == 0), None)
        before = first.scores.get(best.metric) if first else None
        after = best.scores.get(best.metric)
        if before is None or after is None or before < after:
            return ""
        share = is_share(best.metric, best.free)
        return (
            f"It answers no better than the base ({best.metric} {format_score(after, share)},"
            f" before {format_score(before, share)}):"
            " look at the samples, then try another learning rate, more rows, or another prompt."
        )

    def _publish(self, task: Task, watcher: Watcher, traces: tuple[DataTrace, ...], best: JobExamined) -> Path:
        states = checkpoints.find_checkpoints(self._place.checkpoints)
        state = next((one for one in states if one.step == best.step), None)
        if state is None:
            raise FileError(f"The state of update {best.step} is no longer there.", "Train again.")
        examined = (event for event in read_events(self._place.events).events if isinstance(event, JobExamined))
        base = next((event for event in examined if event.step == 0), None)
        parent = read_digests(task.parent.path) if task.parent else None
        digests = merge_digests((*self._digests, *(parent or ())))
        return Registry().publish(state.path, describe(task, self._place, watcher, traces, best, base), digests)

    def _stage(self, stage: Any) -> None:
        self._tell(JobStage(time.time(), stage))

    def _notice(self, text: str) -> None:
        self._tell(JobNotice(time.time(), text))


def _share_folder(trainer: Any) -> None:
    """Let every process write into the folder of the one that leads."""
    if trainer.accelerator.num_processes > 1:
        from accelerate.utils import broadcast_object_list

        shared = [str(trainer.args.output_dir)]
        broadcast_object_list(shared)
        trainer.args.output_dir = shared[0]


def learner_device(trainer: Any) -> str:
    """Where a trainer computes, in words."""
    return str(trainer.args.device)
