"""Watcher: tells what a trainer does, examines it at intervals, and does what a person wishes meanwhile.

Knows nothing of how states are saved (trainers.py) or of what an adapter becomes (registry.py).
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable
from typing import Any

import psutil
import torch
from transformers import TrainerCallback

from workbench.cores.lease import Lease
from workbench.training.checkpoints import Bookmark
from workbench.training.child.examiner import Examiner
from workbench.training.guard import Guard
from workbench.training.place import Control, Place
from workbench.training.progress import JobEvent, JobExamined, JobNotice, JobPaused, JobStage, JobStep, JobWentOn
from workbench.training.recipe import Recipe

Tell = Callable[[JobEvent], None]
_PAUSE_SECONDS = 0.2


class Watcher(TrainerCallback):  # type: ignore[misc]
    """The callback that a trainer gets. trainer is set once there is one.

    stopped: why it ended early, "" where it came to its end; keep: whether an adapter is to be made.
    """

    def __init__(
        self,
        recipe: Recipe,
        place: Place,
        tell: Tell,
        examiner: Examiner,
        rate: float,
        bookmark: Bookmark,
        lease: Lease | None = None,
    ) -> None:
        self.trainer: Any = None
        self.stopped = ""
        self.keep = True
        self.best = bookmark.best
        self.tokens = bookmark.tokens
        self.seconds = bookmark.seconds
        self.last: JobExamined | None = None
        self._recipe = recipe
        self._place = place
        self._tell = tell
        self._examiner = examiner
        self._lease = lease
        self._guard = Guard(rate, bookmark.guard)
        self._worse = bookmark.worse
        self._before = bookmark.tokens
        self._began = 0.0
        self._signalled = False
        self._examining = False
        self._pace = 0.0
        self._losses: list[float] = []
        self._process = psutil.Process()

    def listen(self) -> None:
        """Take a polite request to end as a wish to stop and be resumed later."""
        signal.signal(signal.SIGTERM, self._note_signal)

    def bookmark(self) -> Bookmark:
        """What a state's manifest says."""
        step = int(self.trainer.state.global_step)
        return Bookmark(step, self.tokens, self.seconds, self.best, self._worse, self._guard.standing)

    @property
    def every(self) -> int:
        """Updates between two examinations."""
        return self._recipe.evaluation.every or max(1, round(self.trainer.state.max_steps / 10))

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        if state.global_step == 0:
            self._examine(0)

    def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        self._began = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
        if self._examining or not logs or "loss" not in logs:
            return
        step = int(state.global_step)
        self._take(step, state, logs)
        wish = self._agree(self._decide())
        if wish.wish == "pause":
            wish = self._wait(step)
        stops = wish.wish == "stop"
        self.keep = wish.keep
        if step % self.every == 0 or step >= state.max_steps or (stops and wish.keep):
            self._examine(step)
            control.should_save = True
            self._judge_patience()
        if stops:
            control.should_save = True
        if stops or self.stopped:
            control.should_training_stop = True

    def _take(self, step: int, state: Any, logs: Any) -> None:
        """Tell of an update. Raises TrainingError when its numbers say that there is no point in going on."""
        taken = max(time.monotonic() - self._began, 1e-6)
        loss, norm = float(logs["loss"]), float(logs.get("grad_norm") or 0.0)
        self._guard.step(step, loss, norm)
        tokens = self._before + int(logs.get("num_tokens") or 0)
        self.seconds += taken
        self._pace = taken if not self._pace else 0.9 * self._pace + 0.1 * taken
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
        )
        self.tokens = tokens
        self._tell(event)

    def _estimate(self, step: int, steps: int) -> float:
        left = max(0, steps - step)
        examinations = math.ceil(left / self.every) if left else 0
        estimate = left * self._pace + examinations * (self.last.seconds if self.last else 0.0)
        minutes = self._recipe.budget.minutes
        return min(estimate, max(0.0, minutes * 60 - self.seconds)) if minutes else estimate

    def _measure_memory(self) -> int:
        if torch.cuda.is_available():
            return int(torch.cuda.max_memory_allocated())
        return int(self._process.memory_info().rss)

    # --- wishes --------------------------------------------------------------------------------------------------

    def _decide(self) -> Control:
        """What to do now, by what a person wishes, the budget and a request to end."""
        wished = self._place.control
        if self._signalled:
            self.stopped = "It was asked to end."
            return Control("stop", keep=False)
        if wished.wish == "stop":
            self.stopped = "It was stopped."
            return wished
        minutes = self._recipe.budget.minutes
        if minutes and self.seconds >= minutes * 60:
            self.stopped = f"Its budget of {minutes:g} minutes is used up."
            return Control("stop")
        return Control("pause") if wished.wish == "pause" else Control()

    def _agree(self, control: Control) -> Control:
        """The same decision in every process, where there are several: the first one's."""
        if self.trainer.accelerator.num_processes == 1:
            return control
        from accelerate.utils import broadcast_object_list

        shared: list[tuple[Control, str]] = [(control, self.stopped)]
        broadcast_object_list(shared)
        decided, self.stopped = shared[0]
        return decided

    def _wait(self, step: int) -> Control:
        """Stand still until a person wishes something else."""
        self._tell(JobPaused(time.time(), step))
        if self._lease:
            self._lease.end()
        wish = Control("pause")
        while wish.wish == "pause":
            time.sleep(_PAUSE_SECONDS)
            wish = self._agree(self._decide())
        self._tell(JobWentOn(time.time(), step))
        return wish

    def _note_signal(self, number: int, frame: object) -> None:
        self._signalled = True

    # --- examinations --------------------------------------------------------------------------------------------

    def _examine(self, step: int) -> None:
        if self.last and self.last.step == step:
            return
        self._tell(JobStage(time.time(), "examining"))
        self._examining = True
        try:
            train_loss = sum(self._losses) / len(self._losses) if self._losses else None
            found = self._examiner.examine(self.trainer, step, train_loss, self.best)
        finally:
            self._examining = False
        self._losses.clear()
        self.last = found
        self.best = found if found.best else self.best
        self._worse = 0 if found.best or step == 0 else self._worse + 1
        self._tell(found)
        share = step / max(1, int(self.trainer.state.max_steps))
        sentences = (
            self._guard.examine(step, found.train_loss, found.validation_loss),
            self._guard.examine_end(share, found.end_logprob),
        )
        for sentence in filter(None, sentences):
            self._tell(JobNotice(time.time(), sentence, step))
        self._tell(JobStage(time.time(), "training"))

    def _judge_patience(self) -> None:
        patience = self._recipe.evaluation.patience
        if patience and self._worse >= patience and not self.stopped and self.best:
            self.stopped = f"{self._worse} examinations brought nothing better than that of update {self.best.step}."
