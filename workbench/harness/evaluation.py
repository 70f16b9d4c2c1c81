"""Runs tasks of lm-eval on a model of the workbench, and reads what comes of them."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from workbench.errors import HarnessError, WorkbenchError
from workbench.inference.model_client import ModelClient
from workbench.models.reference import Applied
from workbench.package_commands import install_extra


class HarnessRequest(NamedTuple):
    """tasks: names, or paths of task files. include: folders with tasks of one's own. shots: few-shot examples, None
    as each task says. limit: the first so many documents of each task, None for all."""

    tasks: tuple[str, ...]
    include: tuple[Path, ...] = ()
    shots: int | None = None
    limit: int | None = None
    chat_template: bool = False
    seed: int = 1234


class HarnessScore(NamedTuple):
    """One metric of a task. stderr: None where the task gives none. documents: how many it is over."""

    task: str
    metric: str
    filter: str
    value: float
    stderr: float | None
    documents: int
    shots: int | None = None


class HarnessResult(NamedTuple):
    """notes: what was cut or ignored, in words. raw: all that lm-eval returned."""

    scores: tuple[HarnessScore, ...]
    notes: tuple[str, ...]
    raw: dict[str, Any]


def check_installed() -> None:
    """Raises HarnessError where lm-eval is not installed."""
    from importlib.util import find_spec

    if find_spec("lm_eval") is None:
        raise HarnessError(
            "lm-eval is not installed, whose tasks this command runs.", f"Install it: {install_extra('lm-eval')}"
        )


def run_tasks(request: HarnessRequest, client: ModelClient, adapters: Sequence[Applied] = ()) -> HarnessResult:
    """Load the model, run the tasks and read their scores. Raises WorkbenchError.

    Tasks of lm-eval download their data; tasks of one's own may lie beside theirs.
    """
    check_installed()
    asyncio.run(client.load())
    os.environ.setdefault("TQDM_DISABLE", "1")  # bars of its own would be drawn over each other
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    from lm_eval import evaluator

    from workbench.harness.language_model import WorkbenchLM

    model = WorkbenchLM(client, adapters)
    try:
        evaluator.get_git_commit_hash = lambda: None  # it runs git in the working folder, and this pip list and more:
        evaluator.add_env_info = lambda results: None  # neither is wanted of somebody who only asked for scores
        raw = evaluator.simple_evaluate(
            model,
            tasks=list(request.tasks),
            task_manager=_find_tasks(request),
            num_fewshot=request.shots,
            limit=request.limit,
            apply_chat_template=request.chat_template,
            random_seed=request.seed,
            numpy_random_seed=request.seed,
            torch_random_seed=request.seed,
            fewshot_random_seed=request.seed,
            bootstrap_iters=1000,
        )
    except WorkbenchError:
        raise
    except Exception as error:  # what a task of somebody else raises can be anything
        raise _explain(request, error) from error
    return HarnessResult(tuple(_read_scores(raw)), tuple(_list_notes(model)), raw)


def _find_tasks(request: HarnessRequest) -> Any:
    """Where the tasks are looked up: in one's own folders alone where these have them all, since listing the thousands
    that lm-eval ships takes seconds."""
    from lm_eval.tasks import TaskManager

    folders = [str(path) for path in request.include]
    if folders:
        own = TaskManager(include_path=folders, include_defaults=False)
        if set(request.tasks) <= set(own.all_tasks):
            return own
    return TaskManager(include_path=folders or None)


def _read_scores(raw: dict[str, Any]) -> Sequence[HarnessScore]:
    found = []
    for task, held in raw["results"].items():
        documents = raw.get("n-samples", {}).get(task, {}).get("effective", held.get("sample_len", 0))
        for key, value in held.items():
            metric, _, name = key.partition(",")
            if not name or metric.endswith("_stderr") or isinstance(value, (str, bool)):
                continue
            error = held.get(f"{metric}_stderr,{name}")
            stderr = float(error) if isinstance(error, (int, float)) else None
            shots = raw.get("n-shot", {}).get(task)
            found.append(HarnessScore(task, metric, name, float(value), stderr, int(documents), shots))
    return found


def _list_notes(model: Any) -> Sequence[str]:
    notes = []
    if model.truncated:
        notes.append(f"{model.truncated:,} contexts were longer than the model's and lost their beginning.")
    if model.windows:
        notes.append(f"{model.windows:,} texts were longer than the model's context and were cut into windows.")
    notes += [
        f"Not used of the generation arguments: {name} ({count:,} requests)." for name, count in model.unused.items()
    ]
    return notes


def _explain(request: HarnessRequest, error: Exception) -> HarnessError:
    first = " ".join(str(error).split())[:300]
    return HarnessError(
        f"lm-eval could not run {', '.join(request.tasks)}: {type(error).__name__}: {first}",
        "Check the names of the tasks, and that their data can be downloaded or lie in the cache.",
    )
