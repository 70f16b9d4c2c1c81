"""Progress: what a training tells of itself, one small value after another.

Knows nothing of how training goes, where events are kept (journal.py) or how they are shown. Times are seconds since
1970 in `at`, and seconds of training time, pauses and earlier attempts included or not as said, elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import msgspec

Outcome = Literal["done", "stopped", "failed"]
Stage = Literal["loading", "reading", "training", "examining", "saving"]

MARGIN = "reward margin"
"""A difference of log-probabilities, as preference training measures it: without ends, so no share of anything."""


def is_share(score: str, free: Collection[str]) -> bool:
    """Whether a score can be written as a percentage. free: the scores of which it is known that they cannot."""
    return score != MARGIN and score not in free


class _Event(msgspec.Struct, frozen=True, tag_field="event", omit_defaults=True):
    """at: when it happened, seconds since 1970."""

    at: float


class JobBegan(_Event, frozen=True, tag="began"):
    """The base is loaded and the rows are read. step: where it goes on, 0 for a new job; steps: where it will end.

    trainable and parameters: numbers that are learned, and all. examine_every: updates between two examinations.
    """

    pid: int
    step: int
    steps: int
    epochs: float
    rows: int
    validation_rows: int
    trainable: int
    parameters: int
    device: str
    dtype: str
    learning_rate: float
    examine_every: int
    processes: int = 1


class JobStage(_Event, frozen=True, tag="stage"):
    """What it is doing now."""

    stage: Stage


class JobStep(_Event, frozen=True, tag="step"):
    """An update was made. tokens: read so far, all attempts together; seconds: training time so far, likewise.

    tokens_per_second: of this update. memory_bytes: of the process, or of the graphics card. seconds_left: estimate,
    examinations included.
    """

    step: int
    epoch: float
    loss: float
    learning_rate: float
    grad_norm: float
    tokens: int
    tokens_per_second: float
    memory_bytes: int
    seconds: float
    seconds_left: float


class Sample(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer to a validation case, next to what the base answered before training. score: by the first scorer."""

    case: int
    asked: str
    expected: str
    answer: str
    base: str = ""
    score: float = 0.0


class JobExamined(_Event, frozen=True, tag="examined"):
    """The state after an update, measured on the validation split; step 0 is the base.

    train_loss: mean since the examination before, None at step 0. scores: mean of each scorer, over `cases`;
    those named in `free` are no shares of 1.
    best: whether it is the best so far, by `metric`. seconds: what the examination took. end_logprob: mean natural
    logarithm of the probability that expected answers end where they do; None where it is not known.
    """

    step: int
    validation_loss: float | None
    train_loss: float | None
    scores: dict[str, float] = {}
    cases: int = 0
    metric: str = "loss"
    best: bool = False
    seconds: float = 0.0
    samples: tuple[Sample, ...] = ()
    free: tuple[str, ...] = ()
    end_logprob: float | None = None


class JobSaved(_Event, frozen=True, tag="saved"):
    """A checkpoint is on the disk, whole. best: it holds the best state so far."""

    step: int
    path: str
    best: bool = False


class JobPaused(_Event, frozen=True, tag="paused"):
    """It waits, as a person wished."""

    step: int


class JobWentOn(_Event, frozen=True, tag="went on"):
    """It goes on after a pause."""

    step: int


class JobNotice(_Event, frozen=True, tag="notice"):
    """A sentence that a person should read."""

    text: str
    step: int = 0


class JobEnded(_Event, frozen=True, tag="ended"):
    """It is over. reason: a sentence; hint: what to do. adapter: the folder that was made, "" when none was.

    best_step: the update whose state the adapter holds. scores: of that state.
    """

    outcome: Outcome
    reason: str
    hint: str = ""
    details: str = ""
    step: int = 0
    best_step: int = 0
    adapter: str = ""
    scores: dict[str, float] = {}
    validation_loss: float | None = None
    tokens: int = 0
    seconds: float = 0.0


JobEvent = JobBegan | JobStage | JobStep | JobExamined | JobSaved | JobPaused | JobWentOn | JobNotice | JobEnded
