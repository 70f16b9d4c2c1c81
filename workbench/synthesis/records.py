"""The records of a review file: one JSON object a line, appended as things happen. Plain data only."""

from __future__ import annotations

import time
from typing import Literal

import msgspec

from workbench.synthesis.request import SynthesisRequest

DropReason = Literal["failed", "cut", "invalid", "repeated", "existing", "test"]
REASONS: dict[DropReason, str] = {
    "failed": "the model failed",
    "cut": "cut at the token limit",
    "invalid": "not a row of this dataset",
    "repeated": "like another new row",
    "existing": "like a row that is there",
    "test": "like a row of an evaluation",
}
"""Each with how it is shown."""

Decision = Literal["accept", "reject", "undecided"]


class _SynthesisRecord(msgspec.Struct, frozen=True, tag_field="record", omit_defaults=True, kw_only=True):
    """at: seconds since 1970."""

    at: float = msgspec.field(default_factory=time.time)


class SynthesisStarted(_SynthesisRecord, frozen=True, tag="started"):
    """inputs: the variables of a row. answered: whether rows have an expected answer. labels: all of them, if few."""

    request: SynthesisRequest
    inputs: tuple[str, ...]
    answered: bool
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class RowProposed(_SynthesisRecord, frozen=True, tag="proposed"):
    """A row that passed the checks. call: its number. label, persona: as they were asked for."""

    call: int
    variables: dict[str, str]
    expected: str | None = None
    label: str = ""
    persona: str = ""


class RowDropped(_SynthesisRecord, frozen=True, tag="dropped"):
    """What came of a call and was no row to review. detail: why, in words. text: what the model wrote, shortened."""

    call: int
    reason: DropReason
    detail: str = ""
    text: str = ""


class RowDecided(_SynthesisRecord, frozen=True, tag="decided"):
    """A person's word on a proposed row, by the number of its call; the last one counts."""

    call: int
    decision: Decision


class RowEdited(_SynthesisRecord, frozen=True, tag="edited"):
    """A proposed row as a person changed it, which accepts it. unfinished: it was typed and not applied yet."""

    call: int
    variables: dict[str, str]
    expected: str | None = None
    unfinished: bool = False


class SynthesisPaused(_SynthesisRecord, frozen=True, tag="ended"):
    """No further calls for now. reason: why, in words; empty: all rows that were asked for are there."""

    reason: str = ""


ReviewRecord = SynthesisStarted | RowProposed | RowDropped | RowDecided | RowEdited | SynthesisPaused
