"""Guard: what goes wrong with a training can be seen in its numbers: no numbers, explosion, rows learned by
heart, answers that will not end.

Knows nothing of trainers: it is told numbers, and says sentences.
"""

from __future__ import annotations

import math
from collections import deque

import msgspec

from workbench.errors import TrainingError

_WINDOW = 10
_EXPLODED = 3.0
"""A loss so many times the lowest recent mean, and above where it began, is an explosion when it lasts."""

_LASTS = 5
_RISEN = 1.05
"""A validation loss so many times its lowest, twice in a row, has risen."""

_ENDS = math.log(0.5)
"""The logarithm of a probability below which a greedy answer may not end where it should."""

_ENDS_BY = 0.5
"""The share of the updates after which the end should be on its way."""

_RISING = 0.7
"""How far the logarithm must have risen since before training; half way through it may go on to do so."""

_TRY = (
    "Try a lower training.learning_rate (a third of this one), a longer training.warmup, or a lower training.clip;"
    " float16 overflows more easily than bfloat16 or float32."
)


class Standing(msgspec.Struct, frozen=True):
    """What a guard remembers, so that it can go on after a kill."""

    first: float | None = None
    recent: tuple[float, ...] = ()
    lowest: float | None = None
    high: int = 0
    losses: tuple[tuple[int, float, float], ...] = ()
    parted: bool = False
    endless: bool = False
    end_before: float | None = None


class Guard:
    """Watches the numbers of one training. rate: the learning rate, for what it says."""

    def __init__(self, rate: float, standing: Standing | None = None) -> None:
        standing = standing or Standing()
        self._rate = rate
        self._first = standing.first
        self._recent = deque(standing.recent, maxlen=_WINDOW)
        self._lowest = math.inf if standing.lowest is None else standing.lowest
        self._high = standing.high
        self._losses = list(standing.losses)
        self._parted = standing.parted
        self._endless = standing.endless
        self._end_before = standing.end_before

    @property
    def standing(self) -> Standing:
        lowest = self._lowest if math.isfinite(self._lowest) else None
        losses = tuple(self._losses)
        return Standing(
            self._first, tuple(self._recent), lowest, self._high, losses, self._parted, self._endless, self._end_before
        )

    def step(self, step: int, loss: float, grad_norm: float) -> None:
        """Take an update's numbers. Raises TrainingError when it makes no sense to go on."""
        if not math.isfinite(loss) or math.isnan(grad_norm):
            what = "loss" if not math.isfinite(loss) else "gradient"
            raise TrainingError(
                f"The {what} of update {step} is not a number: the training has blown up at a learning rate of"
                f" {self._rate:g}. The states before it are kept.",
                _TRY,
            )
        self._first = loss if self._first is None else self._first
        self._recent.append(loss)
        mean = sum(self._recent) / len(self._recent)
        self._lowest = min(self._lowest, mean) if len(self._recent) == _WINDOW else self._lowest
        exploded = loss > _EXPLODED * self._lowest and loss > _EXPLODED / 2 * max(self._first, 1.0)
        self._high = self._high + 1 if exploded else 0
        if self._high >= _LASTS:
            raise TrainingError(
                f"The loss has exploded: {loss:.3g} at update {step}, after it had been down to {self._lowest:.3g}."
                " The states before it are kept.",
                _TRY,
            )

    def examine(self, step: int, train_loss: float | None, validation_loss: float | None) -> str:
        """Take an examination's numbers; a sentence when train and validation part ways, said once."""
        if train_loss is None or validation_loss is None:
            return ""
        self._losses.append((step, train_loss, validation_loss))
        best = min(self._losses, key=lambda point: point[2])
        later = [point for point in self._losses if point[0] > best[0]]
        parts = len(later) >= 2 and all(point[2] > best[2] * _RISEN for point in later[-2:])
        if self._parted or not parts or later[-1][1] >= best[1]:
            return ""
        self._parted = True
        return (
            f"Train and validation part ways since update {best[0]}: the train loss fell on from {best[1]:.3g} to"
            f" {train_loss:.3g}, and the validation loss rose from {best[2]:.3g} to {validation_loss:.3g}. The rows are"
            " being learned by heart. The best state is kept; more rows, fewer epochs, a lower rank or dropout help."
        )

    def examine_end(self, share: float, logprob: float | None) -> str:
        """Take how surely answers end where they should; a sentence when that is not being learned, said once.

        share: of the updates that are made. logprob: natural logarithm; None where it is not known.
        """
        before, self._end_before = self._end_before, logprob if self._end_before is None else self._end_before
        if logprob is None or self._endless or share < _ENDS_BY or logprob >= _ENDS:
            return ""
        rising = before is not None and logprob - before >= _RISING
        if rising and share < 1:
            return ""
        self._endless = True
        was = "" if before is None else f", {math.exp(before):.1%} before training"
        return (
            "The end of the answer is not being learned: where an expected answer ends, the model ends its own with a"
            f" probability of {math.exp(logprob):.1%}{was}. Its answers will run on to max_tokens. Look in the dry run"
            " whether answers are cut; train longer or with a higher learning rate; where the base never learned its"
            " end token, name embed_tokens and lm_head in method.modules_to_save."
        )


def describe_end(logprob: float | None) -> str:
    """A sentence where a state is not sure to end its answers; nothing else. logprob: as in `Guard.examine_end`."""
    if logprob is None or logprob >= _ENDS:
        return ""
    return f"Its answers may not end: where they should, it ends them with a probability of {math.exp(logprob):.1%}."
