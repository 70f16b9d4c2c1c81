"""Detects what goes wrong in a training by its numbers: divergence, overfitting, answers that never end."""

from __future__ import annotations

import math
from collections import deque

import msgspec

from workbench.errors import TrainingError

_WINDOW = 10
_EXPLODED, _EXPLODED_STEPS = 3.0, 5
"""A loss so many times the lowest mean of _WINDOW updates, and well above the first loss, for so many updates."""

_RISEN = 1.05
"""A validation loss so many times its minimum, at two evaluations in a row, has risen."""

_ENDS = math.log(0.5)
"""Log probability below which greedy decoding may not end an answer where it should."""

_ENDS_BY = 0.5
"""Share of the updates after which the end should have been learned in part."""

_RISING = 0.7
"""Rise of that log probability since before training that counts as learning; by halfway it may go on rising."""

_HINT = (
    "Try a lower training.learning_rate (a third of it), a higher training.warmup_ratio, or a lower"
    " training.max_grad_norm; float16 overflows more easily than bfloat16 or float32."
)


class MonitorState(msgspec.Struct, frozen=True):
    """What a monitor has seen, saved with a checkpoint. evaluations: step, train loss and validation loss of each."""

    first_loss: float | None = None
    recent_losses: tuple[float, ...] = ()
    lowest_mean: float | None = None
    exploded_steps: int = 0
    evaluations: tuple[tuple[int, float, float], ...] = ()
    overfitting: bool = False
    endless: bool = False
    initial_end_logprob: float | None = None


class DivergenceMonitor:
    """Watches one training. rate: the learning rate, for its messages."""

    def __init__(self, rate: float, state: MonitorState | None = None) -> None:
        state = state or MonitorState()
        self._rate = rate
        self._first_loss = state.first_loss
        self._recent_losses = deque(state.recent_losses, maxlen=_WINDOW)
        self._lowest_mean = math.inf if state.lowest_mean is None else state.lowest_mean
        self._exploded_steps = state.exploded_steps
        self._evaluations = list(state.evaluations)
        self._overfitting = state.overfitting
        self._endless = state.endless
        self._initial_end_logprob = state.initial_end_logprob

    @property
    def state(self) -> MonitorState:
        return MonitorState(
            self._first_loss,
            tuple(self._recent_losses),
            self._lowest_mean if math.isfinite(self._lowest_mean) else None,
            self._exploded_steps,
            tuple(self._evaluations),
            self._overfitting,
            self._endless,
            self._initial_end_logprob,
        )

    def step(self, step: int, loss: float, grad_norm: float) -> None:
        """Take an update's loss and gradient norm. Raises TrainingError when training has diverged."""
        if not math.isfinite(loss) or math.isnan(grad_norm):
            what = "loss" if not math.isfinite(loss) else "gradient norm"
            raise TrainingError(
                f"Training diverged: the {what} of update {step} is not a finite number, at a learning rate of"
                f" {self._rate:g}. Earlier checkpoints are kept.",
                _HINT,
            )
        self._first_loss = loss if self._first_loss is None else self._first_loss
        self._recent_losses.append(loss)
        mean = sum(self._recent_losses) / len(self._recent_losses)
        self._lowest_mean = min(self._lowest_mean, mean) if len(self._recent_losses) == _WINDOW else self._lowest_mean
        exploded = loss > _EXPLODED * self._lowest_mean and loss > _EXPLODED / 2 * max(self._first_loss, 1.0)
        self._exploded_steps = self._exploded_steps + 1 if exploded else 0
        if self._exploded_steps >= _EXPLODED_STEPS:
            raise TrainingError(
                f"Training diverged: the loss is {loss:.3g} at update {step}, up from {self._lowest_mean:.3g}. Earlier"
                " checkpoints are kept.",
                _HINT,
            )

    def check_losses(self, step: int, train_loss: float | None, validation_loss: float | None) -> str:
        """Take an evaluation's losses; a sentence when the model starts to overfit, once."""
        if train_loss is None or validation_loss is None:
            return ""
        self._evaluations.append((step, train_loss, validation_loss))
        best = min(self._evaluations, key=lambda point: point[2])
        later = [point for point in self._evaluations if point[0] > best[0]]
        risen = len(later) >= 2 and all(point[2] > best[2] * _RISEN for point in later[-2:])
        if self._overfitting or not risen or later[-1][1] >= best[1]:
            return ""
        self._overfitting = True
        return (
            f"Overfitting since update {best[0]}: the validation loss rose from {best[2]:.3g} to {validation_loss:.3g}"
            f" while the training loss fell from {best[1]:.3g} to {train_loss:.3g}. The best checkpoint is kept; more"
            " rows, fewer epochs, a lower rank or dropout help."
        )

    def check_end(self, progress: float, logprob: float | None) -> str:
        """Take how surely answers end where they should; a sentence when that is not being learned, once.

        progress: share of the updates that are made. logprob: natural logarithm; None where it is not known.
        """
        before = self._initial_end_logprob
        self._initial_end_logprob = logprob if before is None else before
        if logprob is None or self._endless or progress < _ENDS_BY or logprob >= _ENDS:
            return ""
        if before is not None and logprob - before >= _RISING and progress < 1:
            return ""
        self._endless = True
        was = "" if before is None else f", {math.exp(before):.1%} before training"
        return (
            "The model is not learning to end its answers: it predicts the end of an expected answer with a probability"
            f" of {math.exp(logprob):.1%}{was}, so answers will run on to max_tokens. Check in the dry run whether"
            " answers are truncated; train longer or with a higher learning rate; if the base was never trained on its"
            " end token, add embed_tokens and lm_head to method.modules_to_save."
        )


def describe_end_probability(logprob: float | None) -> str:
    """A sentence where a checkpoint may not end its answers; else nothing. logprob: as in `check_end`."""
    if logprob is None or logprob >= _ENDS:
        return ""
    return f"Answers may not end: the end is predicted with a probability of {math.exp(logprob):.1%} where it belongs."
