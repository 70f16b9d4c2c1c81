"""A hyperparameter sweep: trials of a recipe with other values, pruned early, ranked on the validation split.

The study is a file, so that several processes and later calls share it. The test split is never used. Each trial is a
training job.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from workbench import paths
from workbench.analysis.summary import Estimate
from workbench.errors import TrainingError
from workbench.training.events import JobEnded, JobEvaluated, JobEvent, JobStarted, JobStep
from workbench.training.job import TrainingJob, start_job
from workbench.training.recipe import Recipe, find_objective
from workbench.training.recipe_problems import check_recipe
from workbench.training.registry import Registry
from workbench.training.search_space import Range, SearchSpace, Value, coerce_value, get_value, set_values

if TYPE_CHECKING:
    import optuna

Outcome = Literal["complete", "pruned", "failed", "running"]


_JOB, _STEP, _CASES, _METRIC, _HINT = "job", "best step", "cases", "metric", "reason"


class Trial(msgspec.Struct, frozen=True):
    """values: what was set. score: the best on the validation split, with its interval; None without one."""

    number: int
    values: dict[str, Any]
    outcome: Outcome
    score: Estimate | None = None
    job: str = ""
    best_step: int = 0
    reason: str = ""


class Ranking(msgspec.Struct, frozen=True):
    """The trials, the best first; those without a score last. close: numbers of trials whose interval contains the best
    score, so that they may be as good."""

    study: str
    metric: str
    trials: tuple[Trial, ...]
    close: tuple[int, ...] = ()

    @property
    def best(self) -> Trial | None:
        return self.trials[0] if self.trials and self.trials[0].score else None


class TrialJob(Protocol):
    """A training job as a sweep follows it, on this machine or another one."""

    @property
    def id(self) -> str: ...

    def is_alive(self) -> bool: ...

    def events(self) -> Iterator[JobEvent]:
        """What happens until it is over. Where it begins again, JobStarted comes again."""
        ...

    def stop(self, keep: bool = True) -> None: ...


class Sweep:
    """One study. Raises TrainingError where its file belongs to another one."""

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        name: str,
        space: SearchSpace,
        path: Path | None = None,
        start: Callable[[Recipe, Path], TrialJob] | None = None,
        parallel: int = 1,
    ) -> None:
        """folder: the recipe's. path: the study's file; else one of that name among a person's data. start: begins a
        trial; it may wait. parallel: trials at a time."""
        for key, held in space.items():
            low = held.low if isinstance(held, Range) else held[0]
            check_recipe(set_values(recipe, {key: coerce_value(recipe, key, low)}))
        self._recipe = recipe
        self._folder = folder
        self._name = name
        self._space = space
        self._path = path or paths.data_folder() / "sweeps" / f"{name}.journal"
        self._study = self._open()
        self._start = start
        self._parallel = parallel
        self._jobs: list[TrialJob] = []
        self._cancelled = threading.Event()

    def run(self, trials: int, log: Callable[[str], None], minutes: float | None = None) -> Ranking:
        """Run so many more trials; the ranking of all trials of the study."""
        self._study.optimize(
            lambda trial: self._run_trial(trial, log),
            n_trials=trials,
            n_jobs=self._parallel,
            timeout=minutes * 60 if minutes else None,
            catch=(TrainingError,),
        )
        return self.rank()

    def cancel(self) -> None:
        """Stop the current trial and start no more; from any thread. Finished trials are kept."""
        self._cancelled.set()
        for job in list(self._jobs):
            _stop_job(job)

    @property
    def job(self) -> TrainingJob | None:
        """The current trial on this machine."""
        return next((job for job in list(self._jobs) if isinstance(job, TrainingJob)), None)

    def rank(self) -> Ranking:
        """The ranking of all trials."""
        found = [_read(trial) for trial in self._study.get_trials(deepcopy=False)]
        lower = self._study.direction.name == "MINIMIZE"
        scored = sorted(
            (trial for trial in found if trial.score is not None),
            key=lambda trial: trial.score.value if lower else -trial.score.value,  # type: ignore[union-attr]
        )
        rest = [trial for trial in found if trial.score is None]
        metrics = (trial.user_attrs.get(_METRIC) for trial in self._study.get_trials(deepcopy=False))
        metric = next((str(held) for held in metrics if held), "")
        return Ranking(self._name, metric, (*scored, *rest), tuple(_find_close_trials(scored, lower)))

    def _open(self) -> optuna.Study:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        scored = self._recipe.evaluation.cases > 0 and find_objective(self._recipe).data in ("rows", "prompts")
        return optuna.create_study(
            study_name=self._name,
            storage=JournalStorage(JournalFileBackend(str(self._path))),
            sampler=optuna.samplers.TPESampler(seed=self._recipe.training.seed),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
            direction="maximize" if scored else "minimize",
            load_if_exists=True,
        )

    def _run_trial(self, trial: optuna.Trial, log: Callable[[str], None]) -> float:
        values = {key: self._suggest(trial, key, held) for key, held in self._space.items()}
        recipe = msgspec.structs.replace(
            set_values(self._recipe, values), name=f"{self._recipe.name or self._name}-trial-{trial.number}"
        )
        log(f"trial {trial.number}: " + ", ".join(f"{key} {_show(value)}" for key, value in values.items()))
        job = self._start(recipe, self._folder) if self._start else start_job(recipe, self._folder)
        self._jobs.append(job)
        trial.set_user_attr(_JOB, job.id)
        if self._cancelled.is_set():  # before there was a job to end
            _stop_job(job)
        try:
            best, ended = self._watch(trial, job, log)
        finally:
            self._jobs.remove(job)
        if self._cancelled.is_set():
            trial.study.stop()
        value = self._settle(trial, job, best, ended)
        log(f"trial {trial.number}: {value:.4g} after update {best.step if best else 0}")
        return value

    def _settle(self, trial: optuna.Trial, job: TrialJob, best: JobEvaluated | None, ended: JobEnded | None) -> float:
        """The value of a finished trial. Raises TrialPruned, and TrainingError for a failed one."""
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
        if ended.adapter:
            self._retire(Path(ended.adapter).name)
        return _value(best)

    def _watch(
        self, trial: optuna.Trial, job: TrialJob, log: Callable[[str], None]
    ) -> tuple[JobEvaluated | None, JobEnded | None]:
        """Follow a trial, and stop it when it is pruned."""
        best: JobEvaluated | None = None
        ended: JobEnded | None = None
        rung = reported = 0
        for event in job.events():
            if isinstance(event, JobStarted) and event.step == 0:
                best, rung = None, 0
            if isinstance(event, JobEvaluated) and event.step > 0:
                best = event if event.best else best
                rung += 1
                if rung > reported:
                    reported = rung
                    trial.report(_value(event), rung)
                self._note(trial, best or event)
                if trial.should_prune() and job.is_alive():
                    log(f"trial {trial.number}: pruned, others were better by then")
                    _stop_job(job)
            ended = event if isinstance(event, JobEnded) else ended if not isinstance(event, JobStep) else None
        return best, ended

    def _note(self, trial: optuna.Trial, found: JobEvaluated) -> None:
        trial.set_user_attr(_STEP, found.step)
        trial.set_user_attr(_CASES, found.cases)
        trial.set_user_attr(_METRIC, found.metric)

    def _suggest(self, trial: optuna.Trial, key: str, held: tuple[Value, ...] | Range) -> Any:
        if not isinstance(held, Range):
            return trial.suggest_categorical(key, held)
        if isinstance(get_value(self._recipe, key), int):
            return trial.suggest_int(key, int(held.low), int(held.high), log=held.log)
        return trial.suggest_float(key, held.low, held.high, log=held.log)

    def _retire(self, adapter: str) -> None:
        """Retire the adapters of trials; the best can be promoted."""
        registry = Registry()
        registry.tag(adapter, add=(f"sweep:{self._name}",))
        registry.retire(adapter)


def _stop_job(job: TrialJob) -> None:
    import contextlib

    with contextlib.suppress(TrainingError):  # it may have come to its end meanwhile
        job.stop(keep=False)


def _value(found: JobEvaluated) -> float:
    """What is optimized."""
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
    """With an interval for a rate; none follows from the mean alone of a loss, margin or other value."""
    from workbench.statistics.interval import is_rate, wilson

    if not is_rate(value, cases):
        return Estimate(value, math.nan, math.nan, cases, "only known for rates")
    found = wilson(value * cases, cases)
    return Estimate(value, found.low, found.high, cases)


def _find_close_trials(scored: list[Trial], lower: bool) -> Iterator[int]:
    best = scored[0].score if scored else None
    for trial in scored[1:]:
        if best and trial.score and (trial.score.low <= best.value if lower else trial.score.high >= best.value):
            yield trial.number


def _show(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
