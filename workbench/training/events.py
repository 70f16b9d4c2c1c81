"""What a training job tells of itself: one event after another, as JSON lines that one process writes and any reads."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from workbench.errors import FileError

Outcome = Literal["done", "stopped", "failed"]
Stage = Literal["loading", "reading", "training", "evaluating", "saving"]

REWARD_MARGIN = "reward margin"
"""A difference of log-probabilities, as preference training measures it: without ends, so not a share."""


SAMPLED_SCORE = "sampled "
"""How the name of a figure begins that is a scorer's mean over the answers that were sampled for an update."""


KL = "KL"
"""How far the model has moved from its reference, in nats."""


def is_share(score: str, free: Collection[str]) -> bool:
    """Whether a score can be shown as a percentage. free: the scores that cannot."""
    return score not in (REWARD_MARGIN, KL) and score not in free


class _Event(msgspec.Struct, frozen=True, tag_field="event", omit_defaults=True):
    """at: when it happened, seconds since 1970."""

    at: float


class JobStarted(_Event, frozen=True, tag="started"):
    """The base is loaded and the rows are read. step: where it resumes, 0 for a new job; steps: where it will end.

    trainable: number of trainable parameters; parameters: of all. eval_steps: updates between two evaluations.
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
    eval_steps: int
    processes: int = 1


class JobStage(_Event, frozen=True, tag="stage"):
    """What it is doing now."""

    stage: Stage


class JobStep(_Event, frozen=True, tag="step"):
    """An update was made. tokens: read so far, all attempts together; seconds: training time so far, likewise.

    tokens_per_second: of this update. memory_bytes: of the process, or of the graphics card. seconds_left: estimate,
    evaluations included. metrics: what the objective watches, such as reward and KL; those of SAMPLED_SCORE are means
    of scorers over the sampled answers.
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
    metrics: dict[str, float] = {}


class Sample(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer to a validation case, next to what the base answered before training. score: by the first scorer."""

    case: int
    asked: str
    expected: str
    answer: str
    base: str = ""
    score: float = 0.0


class JobEvaluated(_Event, frozen=True, tag="evaluated"):
    """An evaluation on the validation split after an update; step 0 is the base.

    train_loss: mean since the previous evaluation, None at step 0. scores: mean of each scorer, over `cases`;
    those in `free` are not between 0 and 1.
    best: whether it is the best so far, by `metric`. seconds: what the evaluation took. end_logprob: mean natural
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
    """A checkpoint was committed. best: it is the best so far."""

    step: int
    path: str
    best: bool = False


class JobPaused(_Event, frozen=True, tag="paused"):
    """It was paused."""

    step: int


class JobResumed(_Event, frozen=True, tag="resumed"):
    """It was resumed after a pause."""

    step: int


class JobNotice(_Event, frozen=True, tag="notice"):
    """A message for the user."""

    text: str
    step: int = 0


class JobEnded(_Event, frozen=True, tag="ended"):
    """It is over. reason: a sentence; hint: what to do. adapter: its folder, "" without one.

    best_step: the update whose checkpoint became the adapter. scores: of that checkpoint.
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


JobEvent = JobStarted | JobStage | JobStep | JobEvaluated | JobSaved | JobPaused | JobResumed | JobNotice | JobEnded


_DECODER = msgspec.json.Decoder(JobEvent)
_POLL_SECONDS = 0.1


class Journal:
    """The writing end. Raises FileError when the file cannot be written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torn = path.exists() and path.stat().st_size > 0 and not _ends_line(path)
            self._stream = path.open("ab")
            if torn:
                self._put(b"\n")
        except OSError as error:
            raise self._explain(error) from error

    def write(self, event: JobEvent) -> None:
        """Append an event; readers see it at once."""
        try:
            self._put(msgspec.json.encode(event) + b"\n")
        except OSError as error:
            raise self._explain(error) from error

    def close(self) -> None:
        self._stream.close()

    def _put(self, line: bytes) -> None:
        self._stream.write(line)
        self._stream.flush()

    def _explain(self, error: OSError) -> FileError:
        return FileError(
            f"Cannot write {self._path}: {error.strerror}.",
            "Free some space; the job goes on from its last checkpoint.",
        )


class Page(NamedTuple):
    """Events, and where reading goes on."""

    events: tuple[JobEvent, ...]
    offset: int


def read_events(path: Path, offset: int = 0) -> Page:
    """The events from an offset in the file; an incomplete last line is left for later."""
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            held = stream.read()
    except FileNotFoundError:
        return Page((), offset)
    whole = held.rfind(b"\n") + 1
    return Page(tuple(_decode(held[:whole])), offset + whole)


def follow_events(path: Path, alive: Callable[[], bool], poll_seconds: float = _POLL_SECONDS) -> Iterator[JobEvent]:
    """The events as they come, until the writing process has ended."""
    offset = 0
    while True:
        writing = alive()  # asked first: what it wrote before it ended is then read below
        page = read_events(path, offset)
        yield from page.events
        offset = page.offset
        if not writing:
            return
        if not page.events:
            time.sleep(poll_seconds)


def _decode(lines: bytes) -> Iterator[JobEvent]:
    for line in lines.splitlines():
        try:
            yield _DECODER.decode(line)
        except msgspec.DecodeError:
            with contextlib.suppress(msgspec.DecodeError):
                yield upgrade_event(msgspec.json.decode(line, type=dict[str, Any]))


_RENAMED_TAGS = {"began": "started", "examined": "evaluated", "went on": "resumed"}


def upgrade_event(raw: dict[str, Any]) -> JobEvent:
    """An event as an earlier version wrote it. Raises msgspec.ValidationError for anything else."""
    raw["event"] = _RENAMED_TAGS.get(raw.get("event", ""), raw.get("event"))
    if "examine_every" in raw:
        raw["eval_steps"] = raw.pop("examine_every")
    if raw.get("stage") == "examining":
        raw["stage"] = "evaluating"
    return msgspec.convert(raw, JobEvent)  # type: ignore[no-any-return]


def _ends_line(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(-1, 2)
        return stream.read(1) == b"\n"
