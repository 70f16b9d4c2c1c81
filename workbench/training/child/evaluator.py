"""Evaluates the model in training on the validation split: its loss, its answers and their scores."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import torch

from workbench.datasets import Case
from workbench.inference.types import Sampling
from workbench.scoring.factory import make_scorers
from workbench.scoring.scorer import Scorer
from workbench.scoring.trust import Spec
from workbench.training.child.encoder import EncodedRow
from workbench.training.child.generation import generate_answers, mean_end_logprob
from workbench.training.child.perplexity import mean_token_loss
from workbench.training.child.sharding import is_sharded
from workbench.training.child.tokenized_dataset import TokenizedDataset
from workbench.training.child.training_model import TrainingModel
from workbench.training.events import JobEvaluated, Sample
from workbench.training.recipe import find_objective
from workbench.training.rows import TrainingRow
from workbench.training.task import Task


class ScoredAnswers(NamedTuple):
    """scores: mean of each scorer. single: the first scorer's value of each answer; None where it does not apply."""

    scores: dict[str, float]
    single: tuple[float | None, ...]


class ValidationScorers:
    """The scorers that need only an answer's text. notes: which are left out. Raises ScorerError for an unknown one."""

    def __init__(self, specs: Sequence[Spec], folder: Path) -> None:
        every = make_scorers(specs, folder)
        self._scorers = tuple(scorer for scorer in every if _is_usable(scorer))
        left_out = [scorer.name for scorer in every if scorer not in self._scorers]
        self.notes: tuple[str, ...] = (
            (f"Not scored while training: {', '.join(left_out)}; they need more than the answer's text.",)
            if left_out
            else ()
        )

    @property
    def metric(self) -> str:
        """The scorer that chooses the best checkpoint; "" without one."""
        return self._scorers[0].name if self._scorers else ""

    @property
    def lower_is_better(self) -> bool:
        return bool(self._scorers) and self._scorers[0].lower_is_better

    @property
    def free(self) -> tuple[str, ...]:
        """The scorers whose values are not between 0 and 1."""
        return tuple(scorer.name for scorer in self._scorers if scorer.scale != "unit")

    def score(self, answers: Sequence[str], cases: Sequence[Case]) -> ScoredAnswers:
        """Score the answers to the cases."""
        scores: dict[str, float] = {}
        single: tuple[float | None, ...] = (None,) * len(answers)
        for position, scorer in enumerate(self._scorers):
            found = [scorer.score(text, case) for text, case in zip(answers, cases, strict=True)]
            values = [score.value for score in found if score.applies]
            if values:
                scores[scorer.name] = sum(values) / len(values)
            if position == 0:
                single = tuple(score.value if score.applies else None for score in found)
        return ScoredAnswers(scores, single)


def _is_usable(scorer: Scorer) -> bool:
    """Whether it works on the text alone, at once."""
    probe = Case(1, {}, "x")
    return not scorer.heavy and scorer.needs_answer and not scorer.grader_requests("x", probe)


_MIN_LOSS_IMPROVEMENT = 1e-4  # relative; less is no improvement
_MAX_END_ROWS = 64  # validation rows whose end-of-answer probability is measured
_MAX_EXPONENT = 700.0  # of a number that a float can hold
PERPLEXITY = "perplexity"
_MAX_SAMPLE_CHARACTERS = 300  # characters of a sample's question


class Evaluator:
    """Evaluates one training. tokenized: the validation split; None where there is none.

    base: what the base answered, by case, from an earlier attempt or from the evaluation before the first update.
    """

    def __init__(
        self, task: Task, loaded: TrainingModel, scorers: ValidationScorers, tokenized: TokenizedDataset | None
    ) -> None:
        self._task = task
        self._loaded = loaded
        self._scorers = scorers
        objective = find_objective(task.recipe)
        self._metrics = objective.metrics
        evaluation = task.recipe.evaluation
        sharded = is_sharded(loaded.device)  # then no process could answer alone
        count = evaluation.cases if scorers.metric and tokenized and not objective.scores and not sharded else 0
        self._rows: tuple[TrainingRow, ...] = tokenized.answered[:count] if tokenized else ()
        sampling = Sampling(
            max_tokens=evaluation.max_tokens or _longest_answer(task, tokenized), stop=task.sampling.stop
        )
        self._asked = [msgspec.structs.replace(loaded.encoder.ask(row), sampling=sampling) for row in self._rows]
        self._documents = tokenized.encoded if tokenized and tokenized.documents else ()
        learns_ends = objective.data != "prompts" and not objective.scores  # else no expected answer is learned
        whole = _list_whole(tokenized) if learns_ends and not self._documents and not sharded else []
        self._whole = whole[:_MAX_END_ROWS]
        self.base: dict[int, str] = {}

    @property
    def metric(self) -> str:
        """What chooses the best checkpoint."""
        return self._scorers.metric if self._rows else "loss"

    @property
    def lower_is_better(self) -> bool:
        return not self._rows or self._scorers.lower_is_better

    def evaluate(self, trainer: Any, step: int, train_loss: float | None, best: JobEvaluated | None) -> JobEvaluated:
        """Evaluate the model as it is."""
        began = time.monotonic()
        measured = self._measure_documents(trainer) if self._documents else _measure(trainer)
        loss = measured.get("eval_loss")
        scores = {name: measured[key] for key, name in self._metrics.items() if key in measured}
        scored, samples = self._ask(trainer, step)
        found = JobEvaluated(
            at=time.time(),
            step=step,
            validation_loss=loss if loss is not None and math.isfinite(loss) else None,
            train_loss=train_loss if train_loss is not None and math.isfinite(train_loss) else None,
            scores={**scored.scores, **scores, **_find_perplexity(measured)},
            cases=len(self._rows),
            metric=self.metric,
            seconds=time.monotonic() - began,
            samples=samples,
            free=(*self._scorers.free, PERPLEXITY) if self._documents else self._scorers.free,
            end_logprob=self._measure_ends(trainer),
        )
        return msgspec.structs.replace(found, best=self._is_better(found, best))

    def _measure_documents(self, trainer: Any) -> dict[str, float]:
        """The loss over all tokens of documents; only in the first of several processes."""
        if not trainer.is_world_process_zero():
            return {}
        with torch.random.fork_rng(devices=[]):
            loss = mean_token_loss(self._loaded, trainer.accelerator.unwrap_model(trainer.model), self._documents)
        return {} if loss is None else {"eval_loss": loss, PERPLEXITY: math.exp(min(loss, _MAX_EXPONENT))}

    def _measure_ends(self, trainer: Any) -> float | None:
        """Mean log probability with which it ends the answers of validation rows; None without any."""
        if not self._whole or not trainer.is_world_process_zero():
            return None
        with torch.random.fork_rng(devices=[]):
            found = mean_end_logprob(self._loaded, trainer.accelerator.unwrap_model(trainer.model), self._whole)
        return found if found is not None and math.isfinite(found) else None

    def _ask(self, trainer: Any, step: int) -> tuple[ScoredAnswers, tuple[Sample, ...]]:
        """Its answers and their scores; only in the first of several processes."""
        if not self._rows or not trainer.is_world_process_zero():
            return ScoredAnswers({}, ()), ()
        model = trainer.accelerator.unwrap_model(trainer.model)
        with torch.random.fork_rng(devices=[]):
            texts = generate_answers(self._loaded, model, self._asked)
        cases = [Case(row.case, {}, row.answer) for row in self._rows]
        scored = self._scorers.score(texts, cases)
        if step == 0:
            self.base = {row.case: text for row, text in zip(self._rows, texts, strict=True)}
        return scored, self._show(texts, scored)

    def _show(self, texts: Sequence[str], scored: ScoredAnswers) -> tuple[Sample, ...]:
        shown = self._rows[: self._task.recipe.evaluation.samples]
        return tuple(
            Sample(row.case, _question(row), row.answer, text, self.base.get(row.case, ""), score or 0.0)
            for row, text, score in zip(shown, texts, scored.single, strict=False)
        )

    def _is_better(self, found: JobEvaluated, best: JobEvaluated | None) -> bool:
        """By the metric; where that is equal, by the validation loss. The base, at step 0, is never the best."""
        if found.step == 0 or best is None:
            return found.step > 0
        name = self.metric
        mine, theirs = found.scores.get(name), best.scores.get(name)
        if mine is not None and theirs is not None and mine != theirs:
            return (mine > theirs) != self._scorers.lower_is_better
        if found.validation_loss is not None and best.validation_loss is not None:
            return found.validation_loss < best.validation_loss * (1 - _MIN_LOSS_IMPROVEMENT)
        return mine is None


def _list_whole(tokenized: TokenizedDataset | None) -> list[EncodedRow]:
    """The rows whose answer has its end."""
    return [one for one in tokenized.encoded if one.end < tokenized.limit] if tokenized else []


def _find_perplexity(measured: dict[str, float]) -> dict[str, float]:
    return {PERPLEXITY: measured[PERPLEXITY]} if PERPLEXITY in measured else {}


def _measure(trainer: Any) -> dict[str, float]:
    if trainer.eval_dataset is None:
        return {}
    with torch.random.fork_rng(devices=[]):  # a loader draws a number, which would change the order of what follows
        return dict(trainer.evaluate())


def _longest_answer(task: Task, tokenized: TokenizedDataset | None) -> int:
    """The variant's max_tokens; without a variant, somewhat more than the longest expected answer takes."""
    if task.target:
        return task.sampling.max_tokens
    return max((len(one.ids) - one.prompt for one in tokenized.encoded), default=32) + 8 if tokenized else 32


def _question(row: TrainingRow) -> str:
    last = next((message for message in reversed(row.messages) if message.role == "user"), None)
    text = last.content if last else ""
    return text if len(text) <= _MAX_SAMPLE_CHARACTERS else text[: _MAX_SAMPLE_CHARACTERS - 1] + "…"
