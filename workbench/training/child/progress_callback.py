"""The callback of a trainer: emits its progress, evaluates at intervals, stops early, pauses and stops on command."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

import psutil
import torch
from transformers import TrainerCallback

from workbench.cpu_budget.budget import CpuBudget
from workbench.training.checkpoints import TrainerState
from workbench.training.child.evaluator import Evaluator
from workbench.training.divergence_monitor import DivergenceMonitor
from workbench.training.events import (
    SAMPLED_SCORE,
    JobEvaluated,
    JobEvent,
    JobNotice,
    JobPaused,
    JobResumed,
    JobStage,
    JobStep,
    read_events,
)
from workbench.training.job_dir import JobControl, JobDir
from workbench.training.recipe import Recipe, default_eval_steps, find_objective
from workbench.training.reward_movement import describe_hacking, list_movements

EmitJobEvent = Callable[[JobEvent], None]
_PAUSE_SECONDS = 0.2


class ProgressCallback(TrainerCallback):  # type: ignore[misc]
    """trainer: set once there is one.

    stopped: why training ended early, "" where it did not; stopped_by_user: whether on command. keep: whether an
    adapter is to be published.
    """

    def __init__(
        self,
        recipe: Recipe,
        job_dir: JobDir,
        emit: EmitJobEvent,
        evaluator: Evaluator,
        rate: float,
        trainer_state: TrainerState,
        cpu_budget: CpuBudget | None = None,
    ) -> None:
        self.trainer: Any = None
        self.stopped = ""
        self.stopped_by_user = False
        self.keep = True
        self.best = trainer_state.best
        self.tokens = trainer_state.tokens
        self.seconds = trainer_state.seconds
        self.last: JobEvaluated | None = None
        self._recipe = recipe
        self._job_dir = job_dir
        self._emit = emit
        self._evaluator = evaluator
        self._cpu_budget = cpu_budget
        self._monitor = DivergenceMonitor(rate, trainer_state.monitor)
        self._evals_since_best = trainer_state.evals_since_best
        self._earlier_tokens = trainer_state.tokens
        self._began = 0.0
        self._signalled = False
        self._evaluating = False
        self._step_seconds = 0.0
        self._losses: list[float] = []
        self._hacking = False
        self._process = psutil.Process()

    @property
    def lower_is_better(self) -> bool:
        """Of the metric that chooses the best checkpoint."""
        return self._evaluator.lower_is_better

    def handle_sigterm(self) -> None:
        """Save a checkpoint and stop on SIGTERM, to be resumed later."""
        signal.signal(signal.SIGTERM, self._on_sigterm)

    def trainer_state(self) -> TrainerState:
        """What is saved beside a checkpoint."""
        step = int(self.trainer.state.global_step)
        return TrainerState(step, self.tokens, self.seconds, self.best, self._evals_since_best, self._monitor.state)

    @property
    def eval_steps(self) -> int:
        """Updates between two evaluations."""
        return self._recipe.evaluation.eval_steps or default_eval_steps(self.trainer.state.max_steps)

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        if state.global_step == 0:
            self._evaluate(0)

    def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        self._began = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
        if self._evaluating or not logs or "loss" not in logs:
            return
        step = int(state.global_step)
        self._on_step(step, state, logs)
        command = self._agree(self._decide())
        if command.command == "pause":
            command = self._wait(step)
        stops = command.command == "stop"
        self.keep = command.keep
        if step % self.eval_steps == 0 or step >= state.max_steps or (stops and command.keep):
            self._evaluate(step)
            control.should_save = True
            self._check_patience()
        if stops:
            control.should_save = True
        if stops or self.stopped:
            control.should_training_stop = True

    def _on_step(self, step: int, state: Any, logs: Any) -> None:
        """Emit an update. Raises TrainingError when training has diverged."""
        taken = max(time.monotonic() - self._began, 1e-6)
        loss, norm = float(logs["loss"]), float(logs.get("grad_norm") or 0.0)
        self._monitor.step(step, loss, norm)
        if self._cpu_budget:
            self._cpu_budget.record("update", taken)
        tokens = self._earlier_tokens + int(logs.get("num_tokens") or 0)
        self.seconds += taken
        self._step_seconds = taken if not self._step_seconds else 0.9 * self._step_seconds + 0.1 * taken
        self._losses.append(loss)
        event = JobStep(
            at=time.time(),
            step=step,
            epoch=round(float(state.epoch or 0.0), 4),
            loss=loss,
            learning_rate=float(logs.get("learning_rate", 0.0)),
            grad_norm=min(norm, 1e30),
            tokens=tokens,
            tokens_per_second=(tokens - self.tokens) / taken,
            memory_bytes=self._measure_memory(),
            seconds=self.seconds,
            seconds_left=self._estimate(step, int(state.max_steps)),
            metrics=self._read_metrics(logs),
        )
        self.tokens = tokens
        self._emit(event)

    def _read_metrics(self, logs: Any) -> dict[str, float]:
        """What the objective watches, by the names that are shown."""
        curves = find_objective(self._recipe).curves
        named = {curves.get(key, key): value for key, value in logs.items() if _is_curve(key, curves)}
        return {name: float(value) for name, value in named.items() if value is not None and math.isfinite(value)}

    def _estimate(self, step: int, steps: int) -> float:
        left = max(0, steps - step)
        evaluations = math.ceil(left / self.eval_steps) if left else 0
        estimate = left * self._step_seconds + evaluations * (self.last.seconds if self.last else 0.0)
        minutes = self._recipe.budget.minutes
        return min(estimate, max(0.0, minutes * 60 - self.seconds)) if minutes else estimate

    def _measure_memory(self) -> int:
        if torch.cuda.is_available():
            return int(torch.cuda.max_memory_allocated())
        return int(self._process.memory_info().rss)

    # --- commands --------------------------------------------------------------------------------------------------

    def _decide(self) -> JobControl:
        """What to do now: by command, by budget, or on SIGTERM."""
        control = self._job_dir.control
        if self._signalled:
            self.stopped = "It was terminated."
            return JobControl("stop", keep=False)
        if control.command == "stop":
            self.stopped, self.stopped_by_user = "It was stopped.", True
            return control
        minutes = self._recipe.budget.minutes
        if minutes and self.seconds >= minutes * 60:
            self.stopped = f"The time budget of {minutes:g} minutes is used up."
            return JobControl("stop")
        return JobControl("pause") if control.command == "pause" else JobControl()

    def _agree(self, control: JobControl) -> JobControl:
        """The first process's decision, where there are several."""
        if self.trainer.accelerator.num_processes == 1:
            return control
        from accelerate.utils import broadcast_object_list

        shared: list[tuple[JobControl, str, bool]] = [(control, self.stopped, self.stopped_by_user)]
        broadcast_object_list(shared)
        decided, self.stopped, self.stopped_by_user = shared[0]
        return decided

    def _wait(self, step: int) -> JobControl:
        """Pause until another command comes."""
        self._emit(JobPaused(time.time(), step))
        if self._cpu_budget:
            self._cpu_budget.end()
        command = JobControl("pause")
        while command.command == "pause":
            time.sleep(_PAUSE_SECONDS)
            command = self._agree(self._decide())
        self._emit(JobResumed(time.time(), step))
        return command

    def _on_sigterm(self, number: int, frame: object) -> None:
        self._signalled = True

    # --- evaluations --------------------------------------------------------------------------------------------

    def _evaluate(self, step: int) -> None:
        if self.last and self.last.step == step:
            return
        self._emit(JobStage(time.time(), "evaluating"))
        self._evaluating = True
        try:
            train_loss = sum(self._losses) / len(self._losses) if self._losses else None
            found = self._evaluator.evaluate(self.trainer, step, train_loss, self.best)
        finally:
            self._evaluating = False
        self._losses.clear()
        self.last = found
        self.best = found if found.best else self.best
        self._evals_since_best = 0 if found.best or step == 0 else self._evals_since_best + 1
        self._emit(found)
        share = step / max(1, int(self.trainer.state.max_steps))
        sentences = (
            self._monitor.check_losses(step, found.train_loss, found.validation_loss),
            self._monitor.check_end(share, found.end_logprob),
            self._check_hacking(),
        )
        for sentence in filter(None, sentences):
            self._emit(JobNotice(time.time(), sentence, step))
        self._emit(JobStage(time.time(), "training"))

    def _check_hacking(self) -> str:
        """A sentence, once, where the reward rises while other scorers fall."""
        if self._hacking or find_objective(self._recipe).data != "prompts":
            return ""
        sentence = describe_hacking(list_movements(read_events(self._job_dir.events).events))
        self._hacking = bool(sentence)
        return sentence

    def _check_patience(self) -> None:
        patience = self._recipe.evaluation.early_stopping_patience
        if patience and self._evals_since_best >= patience and not self.stopped and self.best:
            self.stopped = (
                f"Early stopping: {self._evals_since_best} evaluations without improvement since update"
                f" {self.best.step}."
            )


def _is_curve(key: str, curves: Mapping[str, str]) -> bool:
    return key in curves or key.startswith(SAMPLED_SCORE)
