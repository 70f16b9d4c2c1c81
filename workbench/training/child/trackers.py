"""Experiment trackers: what the job's events say, sent to TensorBoard, MLflow or W&B too.

Only figures and the recipe go there: no rows, no answers, nothing of the environment. A tracker that fails ends alone.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from workbench import paths
from workbench.training.child.tracker_backends import MlflowTracker, TensorboardTracker, WandbTracker
from workbench.training.events import JobEnded, JobEvaluated, JobEvent, JobNotice, JobStarted, JobStep
from workbench.training.job_dir import JobDir
from workbench.training.optimizer_args import Tracker
from workbench.training.recipe import Recipe


class ExperimentTracker(Protocol):
    """One run of one job in a tracker. opens_by: the command that shows it, or where it is."""

    @property
    def opens_by(self) -> str: ...

    def log(self, figures: Mapping[str, float], step: int) -> None: ...

    def close(self, outcome: str) -> None: ...


_BACKENDS: dict[Tracker, Callable[[Path, JobDir, dict[str, Any], int], ExperimentTracker]] = {
    "tensorboard": TensorboardTracker,
    "mlflow": MlflowTracker,
    "wandb": WandbTracker,
}


class Trackers:
    """The trackers of a recipe, behind the events of its job. notify: gets a sentence for the person."""

    def __init__(self, recipe: Recipe, job_dir: JobDir, notify: Callable[[JobEvent], None]) -> None:
        self._recipe = recipe
        self._job_dir = job_dir
        self._notify = notify
        self._open: dict[Tracker, ExperimentTracker] = {}

    def on_event(self, event: JobEvent) -> None:
        """Pass on what an event measures."""
        if isinstance(event, JobStarted):
            self._begin(event)
        elif isinstance(event, JobStep | JobEvaluated):
            figures = dict(list_figures(event))
            self._each(lambda tracker: tracker.log(figures, event.step))
        elif isinstance(event, JobEnded):
            self._each(lambda tracker: tracker.close(event.outcome))
            self._open.clear()

    def _begin(self, event: JobStarted) -> None:
        folder = paths.data_folder() / "logs"
        values = {**flatten(msgspec.to_builtins(self._recipe)), "parameters": event.parameters, "rows": event.rows}
        for name in self._recipe.report_to:
            with self._dropping(name):
                tracker = _BACKENDS[name](folder / name, self._job_dir, values, event.step)
                self._open[name] = tracker
                self._notify(JobNotice(time.time(), f"{name}: {tracker.opens_by}", event.step))

    def _each(self, act: Callable[[ExperimentTracker], None]) -> None:
        for name, tracker in list(self._open.items()):
            with self._dropping(name):
                act(tracker)

    @contextlib.contextmanager
    def _dropping(self, name: Tracker) -> Iterator[None]:
        """A failure inside ends the tracker, not the training."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever a tracker raises
            self._drop(name, error)

    def _drop(self, name: Tracker, error: BaseException) -> None:
        """Go on without a tracker that failed."""
        self._open.pop(name, None)
        lines = str(error).strip().splitlines()
        reason = f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
        self._notify(JobNotice(time.time(), f"{name} failed, and gets no more figures of this training: {reason}"))


def list_figures(event: JobStep | JobEvaluated) -> Iterator[tuple[str, float]]:
    """The figures of an event under the names that trackers group by: train/loss, eval/exact_match."""
    if isinstance(event, JobStep):
        for name in ("loss", "learning_rate", "grad_norm", "epoch", "tokens", "tokens_per_second"):
            yield f"train/{name}", float(getattr(event, name))
        for name, value in getattr(event, "metrics", {}).items():
            yield f"train/{name.replace(' ', '_')}", float(value)
        return
    if event.validation_loss is not None:
        yield "eval/loss", event.validation_loss
    if event.end_logprob is not None:
        yield "eval/end_logprob", event.end_logprob
    for name, value in event.scores.items():
        yield f"eval/{name.replace(' ', '_')}", value


def flatten(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """A recipe as flat keys: method.rank. Empty values are left out."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{before}{key}."))
        elif isinstance(value, list | tuple):
            flat.update({f"{before}{key}": ", ".join(map(str, value))} if value else {})
        elif value not in (None, ""):
            flat[f"{before}{key}"] = value if isinstance(value, int | float) else str(value)
    return flat
