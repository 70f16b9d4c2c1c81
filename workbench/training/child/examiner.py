"""Examiner: how good the model is now, on the validation split: its loss, its answers and what they score.

Knows nothing of when to examine (watcher.py).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import torch

from workbench.engines.engine import Sampling
from workbench.evaluation.datasets import Case
from workbench.training.child.answers import measure_ends, write_answers
from workbench.training.child.learner import Learner
from workbench.training.child.lessons import Lessons
from workbench.training.judge import Judge, Verdict
from workbench.training.progress import MARGIN, JobExamined, Sample
from workbench.training.rows import Row
from workbench.training.task import Task

_LEAST = 1e-4  # of the loss: what is less is no progress
_ENDS = 64  # validation rows whose end is looked at
_SHOWN = 300  # characters of a sample's question
_PAIRED = {"eval_rewards/margins": MARGIN, "eval_rewards/accuracies": "reward accuracy"}


class Examiner:
    """Examines one training. lessons: the validation split; None where there is none.

    told: what the base answered, by case, where an earlier attempt has asked it.
    """

    def __init__(self, task: Task, learner: Learner, judge: Judge, lessons: Lessons | None) -> None:
        self._task = task
        self._learner = learner
        self._judge = judge
        watch = task.recipe.evaluation
        count = watch.cases if judge.metric and lessons else 0
        self._rows: tuple[Row, ...] = lessons.rows[:count] if lessons else ()
        sampling = Sampling(max_tokens=watch.max_tokens or _longest_answer(task, lessons), stop=task.sampling.stop)
        self._asked = [msgspec.structs.replace(learner.encoder.ask(row), sampling=sampling) for row in self._rows]
        whole = [one for one in lessons.encoded if one.end < lessons.limit] if lessons else []
        self._whole = whole[:_ENDS]
        self.base: dict[int, str] = {}

    @property
    def metric(self) -> str:
        """What decides which state is best."""
        return self._judge.metric if self._rows else "loss"

    def examine(self, trainer: Any, step: int, train_loss: float | None, best: JobExamined | None) -> JobExamined:
        """Examine the model as it is."""
        began = time.monotonic()
        measured = _measure(trainer)
        loss = measured.get("eval_loss")
        scores = {name: measured[key] for key, name in _PAIRED.items() if key in measured}
        verdict, samples = self._ask(trainer, step)
        found = JobExamined(
            at=time.time(),
            step=step,
            validation_loss=loss if loss is not None and math.isfinite(loss) else None,
            train_loss=train_loss if train_loss is not None and math.isfinite(train_loss) else None,
            scores={**verdict.scores, **scores},
            cases=len(self._rows),
            metric=self.metric,
            seconds=time.monotonic() - began,
            samples=samples,
            free=self._judge.free,
            end_logprob=self._measure_ends(trainer),
        )
        return msgspec.structs.replace(found, best=self._is_better(found, best))

    def _measure_ends(self, trainer: Any) -> float | None:
        """How surely it ends the answers of validation rows; None where nobody knows."""
        if not self._whole or not trainer.is_world_process_zero():
            return None
        with torch.random.fork_rng(devices=[]):
            found = measure_ends(self._learner, trainer.accelerator.unwrap_model(trainer.model), self._whole)
        return found if found is not None and math.isfinite(found) else None

    def _ask(self, trainer: Any, step: int) -> tuple[Verdict, tuple[Sample, ...]]:
        """What it answers, and what that scores; the first of several processes does it alone."""
        if not self._rows or not trainer.is_world_process_zero():
            return Verdict({}, ()), ()
        model = trainer.accelerator.unwrap_model(trainer.model)
        with torch.random.fork_rng(devices=[]):
            texts = write_answers(self._learner, model, self._asked)
        cases = [Case(row.case, {}, row.answer) for row in self._rows]
        verdict = self._judge.judge(texts, cases)
        if step == 0:
            self.base = {row.case: text for row, text in zip(self._rows, texts, strict=True)}
        return verdict, self._show(texts, verdict)

    def _show(self, texts: Sequence[str], verdict: Verdict) -> tuple[Sample, ...]:
        shown = self._rows[: self._task.recipe.evaluation.samples]
        return tuple(
            Sample(row.case, _question(row), row.answer, text, self.base.get(row.case, ""), score or 0.0)
            for row, text, score in zip(shown, texts, verdict.single, strict=False)
        )

    def _is_better(self, found: JobExamined, best: JobExamined | None) -> bool:
        """By the first scorer; where that is the same, by the loss. The base, at step 0, is what all is compared with,
        and never the best."""
        if found.step == 0 or best is None:
            return found.step > 0
        name = self.metric
        mine, theirs = found.scores.get(name), best.scores.get(name)
        if mine is not None and theirs is not None and mine != theirs:
            return (mine > theirs) != self._judge.lower_is_better
        if found.validation_loss is not None and best.validation_loss is not None:
            return found.validation_loss < best.validation_loss * (1 - _LEAST)
        return mine is None


def _measure(trainer: Any) -> dict[str, float]:
    if trainer.eval_dataset is None:
        return {}
    with torch.random.fork_rng(devices=[]):  # a loader draws a number, which would change the order of what follows
        return dict(trainer.evaluate())


def _longest_answer(task: Task, lessons: Lessons | None) -> int:
    """As the bench's variant says; without one, somewhat longer than the longest that is expected."""
    if task.target:
        return task.sampling.max_tokens
    return max((len(one.ids) - one.prompt for one in lessons.encoded), default=32) + 8 if lessons else 32


def _question(row: Row) -> str:
    last = next((message for message in reversed(row.messages) if message.role == "user"), None)
    text = last.content if last else ""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
