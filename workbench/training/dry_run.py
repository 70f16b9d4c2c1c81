"""A dry run: what a training would do: rows, tokens, updates, time, memory, and rows as the model sees them.

A process like the one that trains works it out (child/preview.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from workbench import yaml_document
from workbench.analysis.parity import compare_tokens
from workbench.errors import TrainingError, WorkbenchError
from workbench.inference.pool import Pool
from workbench.inference.types import GenerateRequest, Tokenized
from workbench.inference.worker.frames import FrameCodec
from workbench.inference.worker.process import BlockingWorker, WorkerEnded, WorkerSpec
from workbench.models.reference import Model
from workbench.prompting.prompt import Message, Mode
from workbench.prompting.tools import Tool
from workbench.settings import Settings
from workbench.training.recipe import Recipe
from workbench.training.task import open_task
from workbench.units import format_duration, format_plural


class PreviewToken(msgspec.Struct, frozen=True):
    """A token of a row. learned: whether it counts in the loss."""

    text: str
    learned: bool
    id: int = 0


class RowPreview(msgspec.Struct, frozen=True):
    """A row exactly as the model will see it."""

    case: int
    pieces: tuple[PreviewToken, ...]
    messages: tuple[Message, ...] = ()
    mode: Mode = "chat"
    asked: int = 0
    """How many of the pieces are the prompt; the answer follows."""
    tools: tuple[Tool, ...] = ()


class SamplingTime(msgspec.Struct, frozen=True):
    """What the answers take that a training samples, of its whole duration.

    answers: of one update, which were sampled by the model before training. cut: they were cut off after a while, and
    the seconds are for answers as long as they may be.
    """

    seconds: float
    answers: int
    tokens_per_second: float
    cut: bool = False
    not_timed: tuple[str, ...] = ()
    """Scorers of the reward that ask a model, for which nobody knows how long it takes."""


class DryRun(msgspec.Struct, frozen=True):
    """What a training would do.

    rows: to train on; tokens: of one epoch, without padding; learned_tokens: those that count in the loss. cut, lost,
    unlabelled: rows whose answer is truncated, whose prompt is too long, without an answer. seconds, memory_bytes:
    estimates from two updates that are discarded; None where they could not be made. parity: "" when training and
    inference see the same tokens; else what differs. overlap: validation rows that are also training rows. notes:
    warnings. data: how the rows were divided between training, validation and test, and drawn, in sentences.
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
    optimizer_bytes: int = 0
    """Of memory_bytes: the states that the optimizer will keep; the two updates are made without one."""
    free_bytes: int = 0
    parity: str = ""
    notes: tuple[str, ...] = ()
    previews: tuple[RowPreview, ...] = ()
    data: tuple[str, ...] = ()
    sampling: SamplingTime | None = None


def describe_time(found: DryRun) -> str:
    """How long it will take, and what of it is sampling."""
    if found.seconds is None:
        return "unknown"
    text = f"about {format_duration(found.seconds)} on this machine as busy as it is now"
    sampling = found.sampling
    if sampling is None:
        return text
    measured = f"{sampling.tokens_per_second:,.0f} tokens/s, measured on {format_plural(sampling.answers, 'answer')}"
    length = "for answers as long as they may be" if sampling.cut else "longer if answers grow"
    untimed = f"; not included: the model calls of {', '.join(sampling.not_timed)}" if sampling.not_timed else ""
    return f"{text}, {format_duration(sampling.seconds)} of it for sampling ({measured}; {length}){untimed}"


class _Refused(msgspec.Struct, frozen=True):
    """Why there is no dry run."""

    message: str
    hint: str = ""
    details: str = ""


class DryRunRequest(msgspec.Struct, frozen=True):
    """What the worker is asked. recipe: its text; folder: from which the recipe's paths are resolved."""

    name: str
    recipe: str
    folder: str


class DryRunReply(msgspec.Struct, frozen=True):
    """What the worker found, or why it refused."""

    dry_run: DryRun | None = None
    refused: _Refused | None = None


DRY_RUN_REPLIES: FrameCodec[DryRunReply] = FrameCodec(DryRunReply)


def refuse(error: WorkbenchError) -> DryRunReply:
    return DryRunReply(None, _Refused(error.message, error.hint, error.details))


def dry_run(
    recipe: Recipe,
    folder: Path,
    settings: Settings,
    name: str = "",
    on_start: Callable[[Callable[[], object]], None] = lambda _: None,
) -> DryRun:
    """What a training would do; takes some ten seconds, mostly to load libraries.

    on_start: gets a function that ends it from another thread; a TrainingError is raised then.
    Raises WorkbenchError for everything that would keep it from starting.
    """
    task = open_task(recipe, folder, settings, name)  # what is missing raises here, before the libraries load
    found = _run_child(recipe, folder, name, on_start)
    if task.target is not None and task.target.format == "gguf" and found.previews:
        found = msgspec.structs.replace(
            found, parity=found.parity or _check_target(task.target, found.previews, settings)
        )
    return found


def _run_child(
    recipe: Recipe, bench_folder: Path, name: str, on_start: Callable[[Callable[[], object]], None]
) -> DryRun:
    text = yaml_document.encode(recipe)
    request = DryRunRequest(recipe.name or name, text, str(bench_folder.absolute()))
    worker = BlockingWorker(WorkerSpec("workbench.training.child.preview"), DRY_RUN_REPLIES, "dry run")
    try:
        on_start(worker.kill)
        reply = worker.ask(request)
    except WorkerEnded as ended:
        words = ended.exit.last_words
        last = words.strip().splitlines()[-1:] or ["no output"]
        raise TrainingError(f"The dry run {ended.exit.reason}: {last[0]}", "See its output.", words) from ended
    finally:
        worker.end()
    if reply.dry_run is None:
        refused = reply.refused or _Refused("The dry run has no result.")
        raise TrainingError(refused.message, refused.hint, refused.details)
    return reply.dry_run


def _check_target(target: Model, previews: Sequence[RowPreview], settings: Settings) -> str:
    """How a prompt's tokens differ on the variant's model, which may be another form of the base."""
    pool = Pool.configured(settings)
    try:
        for preview in (one for one in previews if one.messages):  # a document is asked nothing
            asked = preview.pieces[: preview.asked]
            trained = Tokenized(
                "".join(piece.text for piece in asked),
                tuple(piece.id for piece in asked),
                tuple(piece.text for piece in asked),
            )
            request = GenerateRequest(0, preview.messages, mode=preview.mode, tools=preview.tools)
            found = compare_tokens(trained, asyncio.run(pool.client(target).tokenize(request)))
            if found.stretches:
                first = found.stretches[0]
                return (
                    f"{target.name} tokenizes the prompt of row {preview.case} differently from token"
                    f" {first.position} on: {' '.join(map(repr, first.left)) or 'nothing'} in training,"
                    f" {' '.join(map(repr, first.right)) or 'nothing'} in inference. An adapter would be worse there."
                )
    finally:
        pool.close()
    return ""
