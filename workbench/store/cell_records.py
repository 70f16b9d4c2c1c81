"""What the store keeps of each case on each variant: the completion, its scores, and what it was asked.

Variants and metrics are told by their index in the run; completions are kept once, however many cells share them.
"""

from __future__ import annotations

import msgspec

from workbench.inference.types import Completion


class StoredCompletion(msgspec.Struct, frozen=True):
    """A completion with what the store knows of it.

    share_seconds: its part of the time that all requests side by side took. digest: of all that determines it.
    reusable: later cells may take it as theirs. key: the store's number; 0 when it is not there yet.
    """

    completion: Completion = Completion()
    share_seconds: float = 0.0
    digest: bytes | None = None
    reusable: bool = False
    key: int = 0


NO_COMPLETION = StoredCompletion()


class ScoreRecord(msgspec.Struct, frozen=True):
    """One judgement; metric: its index in the run's list. details: what else is known of it, in words that the store
    does not read. unscored: why it should have applied and does not: `error` or `lost`."""

    metric: int
    value: float
    applies: bool = True
    extracted: str = ""
    explanation: str = ""
    details: str = ""
    unscored: str = ""


class ScorerTally(msgspec.Struct, frozen=True):
    """How one metric of a run fared. scores: of how many cells; applied: to how many; error, lost: as in ScoreRecord.
    reason: of one of those that have no value, those that were lost first."""

    metric: int
    scores: int
    applied: int
    error: int
    lost: int
    reason: str = ""


class FailureTally(msgspec.Struct, frozen=True):
    """Cells of a variant, by its index, that failed for the same reason. case: the first of them."""

    variant: int
    error: str
    hint: str
    cells: int
    case: int


class CellRecord(msgspec.Struct, frozen=True):
    """One finished cell; number: the case's, variant: its index in the run's list.

    steps: JSON of its calls, where it made several; in words that the store does not read. answers: to those of them
    that later cells may take, and that are not in the store yet; empty where a cell was read.
    """

    number: int
    variant: int
    repeat: int
    stored: StoredCompletion
    failed: bool = False
    cached: bool = False
    cost: float = 0.0
    error: str = ""
    hint: str = ""
    scores: tuple[ScoreRecord, ...] = ()
    steps: str = ""
    answers: tuple[StoredCompletion, ...] = ()


class InputRecord(msgspec.Struct, frozen=True):
    """One case. body: JSON of all of it but the expected answer."""

    number: int
    body: str
    expected: str | None = None
    line: int = 0
