"""Sweep: a recipe tried with other numbers, hopeless trials ended early, ranked on the validation split.

The study lies in a file, so that several processes, and later calls, share it. The test split is never looked at.
Knows nothing of how a trial is trained: each is a job like any other.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from workbench import paths
from workbench.errors import TrainingError
from workbench.evaluation.summary import Estimate
from workbench.training.job import Job, start
from workbench.training.progress import JobEnded, JobExamined, JobStep
from workbench.training.recipe import Recipe, check_recipe
from workbench.training.registry import Registry
from workbench.training.space import Range, Space, Value, find_value, set_values, suit

if TYPE_CHECKING:
    import optuna

Outcome = Literal["complete", "pruned", "failed", "running"]


_JOB, _STEP, _CASES, _METRIC, _HINT = "job", "best step", "cases", "metric", "reason"


class Trial(msgspec.Struct, frozen=True):
    """One try. values: what was set. score: the best on the validation split, with its interval; None without one."""

    number: int
    values: dict[str, Any]
    outcome: Outcome
    score: Estimate | None = None
    job: str = ""
    best_step: int = 0
    reason: str = ""


class Ranking(msgspec.Struct, frozen=True):
    """The trials, the best first; those without a score last. close: numbers of trials whose interval reaches the best
    one's value: a further look, not luck, has to decide between them."""

    study: str
    metric: str
    trials: tuple[Trial, ...]
    close: tuple[int, ...] = ()

    @property
    def best(self) -> Trial | None:
        return self.trials[0] if self.trials and self.trials[0].score else None


class Sweep:
    """One study. Raises TrainingError where its file belongs to another one."""

    def __init__(self, recipe: Recipe, folder: Path, name: str, space: Space, path: Path | None = None) -> None:
        """folder: the recipe's. path: the study's file; else one of that name among a person's data."""
        for key, held in space.items():
            low = held.low if isinstance(held, Range) else held[0]
            check_recipe(set_values(recipe, {key: suit(recipe, key, low)}))
        self._recipe = recipe
        self._folder = folder
        self._name = name
        self._space = space
        self._path = path or paths.data_folder() / "sweeps" / f"{name}.journal"
        self._study = self._open()
        self._job: Job | None = None
        self._cancelled = threading.Event()

    def run(self, trials: int, say: Callable[[str], None], minutes: float | None = None) -> Ranking:
        """Try so many more times, one after the other; how all trials of the study stand."""
        self._study.optimize(
            lambda trial: self._try(trial, say),
            n_trials=trials,
            timeout=minutes * 60 if minutes else None,
            catch=(TrainingError,),
        )
        return self.rank()

    def cancel(self) -> None:
        """Try no more, and end the trial under way; from any thread. What was tried is kept."""
        self._cancelled.set()
        if self._job is not None:
            _end(self._job)

    @property
    def job(self) -> Job | None:
        """The trial under way."""
        return self._job

    def rank(self) -> Ranking:
        """How the trials stand."""
        found = [_read(trial) for trial in self._study.get_trials(deepcopy=False)]
        lower = self._study.direction.name == "MINIMIZE"
        scored = sorted(
            (trial for trial in found if trial.score is not None),
            key=lambda trial: trial.score.value if lower else -trial.score.value,  # type: ignore[union-attr]
        )
        rest = [trial for trial in found if trial.score is None]
        told = (trial.user_attrs.get(_METRIC) for trial in self._study.get_trials(deepcopy=False))
        metric = next((str(held) for held in told if held), "")
        return Ranking(self._name, metric, (*scored, *rest), tuple(_find_close(scored, lower)))

    def _open(self) -> optuna.Study:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        scored = self._recipe.evaluation.cases > 0 and not self._recipe.preference
        return optuna.create_study(
            study_name=self._name,
            storage=JournalStorage(JournalFileBackend(str(self._path))),
            sampler=optuna.samplers.TPESampler(seed=self._recipe.training.seed),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
            direction="maximize" if scored else "minimize",
            load_if_exists=True,
        )

    def _try(self, trial: optuna.Trial, say: Callable[[str], None]) -> float:
        values = {key: self._suggest(trial, key, held) for key, held in self._space.items()}
        recipe = msgspec.structs.replace(
            set_values(self._recipe, values), name=f"{self._recipe.name or self._name}-trial-{trial.number}"
        )
        say(f"trial {trial.number}: " + ", ".join(f"{key} {_show(value)}" for key, value in values.items()))
        self._job = job = start(recipe, self._folder)
        trial.set_user_attr(_JOB, job.id)
        if self._cancelled.is_set():  # before there was a job to end
            _end(job)
        best, ended = self._watch(trial, job, say)
        self._job = None
        if self._cancelled.is_set():
            trial.study.stop()
        value = self._settle(trial, job, best, ended)
        say(f"trial {trial.number}: {value:.4g} after update {best.step if best else 0}")
        return value

    def _settle(self, trial: optuna.Trial, job: Job, best: JobExamined | None, ended: JobEnded | None) -> float:
        """What a trial that is over comes to. Raises TrialPruned, and TrainingError where it came to nothing."""
        import optuna

        if ended is None:
            raise TrainingError(f"The job {job.id} was killed.", "Run the sweep again.")
        if ended.outcome == "stopped" and not ended.adapter:
            if not self._cancelled.is_set():
                raise optuna.TrialPruned
            trial.set_user_attr(_HINT, "It was stopped.")
            raise TrainingError("It was stopped.", "Run the sweep again.")
        if ended.outcome == "failed" or best is None:
            trial.set_user_attr(_HINT, ended.reason)
            raise TrainingError(ended.reason, ended.hint)
        self._put_aside(Path(ended.adapter).name)
        return _value(best)

    def _watch(
        self, trial: optuna.Trial, job: Job, say: Callable[[str], None]
    ) -> tuple[JobExamined | None, JobEnded | None]:
        """Follow a trial, and end it where it is hopeless."""
        best: JobExamined | None = None
        ended: JobEnded | None = None
        rung = 0
        for event in job.events():
            if isinstance(event, JobExamined) and event.step > 0:
                best = event if event.best else best
                rung += 1
                trial.report(_value(event), rung)
                self._note(trial, best or event)
                if trial.should_prune() and job.place.is_alive():
                    say(f"trial {trial.number}: ended early, others were better by then")
                    _end(job)
            ended = event if isinstance(event, JobEnded) else ended if not isinstance(event, JobStep) else None
        return best, ended

    def _note(self, trial: optuna.Trial, found: JobExamined) -> None:
        trial.set_user_attr(_STEP, found.step)
        trial.set_user_attr(_CASES, found.cases)
        trial.set_user_attr(_METRIC, found.metric)

    def _suggest(self, trial: optuna.Trial, key: str, held: tuple[Value, ...] | Range) -> Any:
        if not isinstance(held, Range):
            return trial.suggest_categorical(key, held)
        if isinstance(find_value(self._recipe, key), int):
            return trial.suggest_int(key, int(held.low), int(held.high), log=held.log)
        return trial.suggest_float(key, held.low, held.high, log=held.log)

    def _put_aside(self, adapter: str) -> None:
        """Keep the adapters of trials out of the way; the best can be promoted."""
        registry = Registry()
        registry.tag(adapter, add=(f"sweep:{self._name}",))
        registry.retire(adapter)


def _end(job: Job) -> None:
    import contextlib

    with contextlib.suppress(TrainingError):  # it may have come to its end meanwhile
        job.stop(keep=False)


def _value(found: JobExamined) -> float:
    """What a trial is judged by."""
    score = found.scores.get(found.metric)
    return score if score is not None else (found.validation_loss if found.validation_loss is not None else math.inf)


def _read(trial: optuna.trial.FrozenTrial) -> Trial:
    names: dict[str, Outcome] = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
    held = trial.user_attrs
    value = trial.value if trial.state.name == "COMPLETE" else None
    return Trial(
        number=trial.number,
        values=dict(trial.params),
        outcome=names.get(trial.state.name, "running"),
        score=_estimate(value, int(held.get(_CASES, 0))) if value is not None and math.isfinite(value) else None,
        job=str(held.get(_JOB, "")),
        best_step=int(held.get(_STEP, 0)),
        reason=str(held.get(_HINT, "")),
    )


def _estimate(value: float, cases: int) -> Estimate:
    """A rate has an interval; of a loss, a margin or another mean nobody knows one from the mean alone."""
    from workbench.evaluation.statistics.interval import is_rate, wilson

    if not is_rate(value, cases):
        return Estimate(value, math.nan, math.nan, cases, "known for rates alone")
    found = wilson(value * cases, cases)
    return Estimate(value, found.low, found.high, cases)


def _find_close(scored: list[Trial], lower: bool) -> Iterator[int]:
    best = scored[0].score if scored else None
    for trial in scored[1:]:
        if best and trial.score and (trial.score.low <= best.value if lower else trial.score.high >= best.value):
            yield trial.number


def _show(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
