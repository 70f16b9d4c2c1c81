"""ReviewState: what the records of a review file add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from workbench.datasets.synthetic_rows import ORIGIN, SYNTHETIC
from workbench.synthesis.records import (
    REASONS,
    Decision,
    DropReason,
    ReviewRecord,
    RowDecided,
    RowDropped,
    RowEdited,
    RowProposed,
    SynthesisPaused,
    SynthesisStarted,
)
from workbench.units import format_plural


class ReviewRow(NamedTuple):
    """A proposed row as it now reads. unfinished: an edit that was typed and not applied."""

    call: int
    variables: dict[str, str]
    expected: str | None
    decision: Decision = "undecided"
    edited: bool = False
    label: str = ""
    persona: str = ""
    unfinished: RowEdited | None = None


class ReviewState:
    """started: None before the first record. rows: proposed ones, in the order of their calls. calls: made so far.
    paused: why there are no further calls for now, None while they go on."""

    def __init__(self) -> None:
        self.started: SynthesisStarted | None = None
        self.dropped: Counter[DropReason] = Counter()
        self.last_drop: RowDropped | None = None
        self.calls = 0
        self.paused: str | None = None
        self._rows: dict[int, ReviewRow] = {}

    @property
    def rows(self) -> Sequence[ReviewRow]:
        return list(self._rows.values())

    @property
    def accepted(self) -> Sequence[ReviewRow]:
        return [row for row in self._rows.values() if row.decision == "accept"]

    def count(self, decision: Decision) -> int:
        return sum(1 for row in self._rows.values() if row.decision == decision)

    def find(self, call: int) -> ReviewRow | None:
        return self._rows.get(call)

    def add(self, record: ReviewRecord) -> None:
        if isinstance(record, SynthesisStarted):
            self.started = record
        elif isinstance(record, RowProposed):
            self.calls, self.paused = max(self.calls, record.call + 1), None
            self._rows[record.call] = ReviewRow(
                record.call, record.variables, record.expected, label=record.label, persona=record.persona
            )
        elif isinstance(record, RowDropped):
            self.calls, self.paused, self.last_drop = max(self.calls, record.call + 1), None, record
            self.dropped[record.reason] += 1
        elif isinstance(record, SynthesisPaused):
            self.paused = record.reason
        elif record.call in self._rows:
            self._change(self._rows[record.call], record)

    def _change(self, row: ReviewRow, record: RowDecided | RowEdited) -> None:
        if isinstance(record, RowDecided):
            row = row._replace(decision=record.decision)
        elif record.unfinished:
            row = row._replace(unfinished=record)
        else:
            row = row._replace(
                variables=record.variables, expected=record.expected, decision="accept", edited=True, unfinished=None
            )
        self._rows[row.call] = row


def render_rows_file(state: ReviewState, columns: dict[int, dict[str, str]]) -> str:
    """The file of the accepted rows as JSON lines, each marked as synthetic. columns: the cells of each, by call."""
    rows = ({**columns[row.call], ORIGIN: SYNTHETIC} for row in state.accepted)
    return "".join(msgspec.json.encode(row).decode() + "\n" for row in rows)


def describe_counts(state: ReviewState) -> str:
    """How many rows were written, dropped and decided, on one line."""
    rows = len(state.rows)
    decided = ", ".join(
        f"{count:,} {word}"
        for word, count in (
            ("accepted", state.count("accept")),
            ("rejected", state.count("reject")),
            ("to review", state.count("undecided")),
        )
        if count
    )
    made = f"{format_plural(rows, 'row')} from {format_plural(state.calls, 'call')}"
    return f"{made}: {decided}" if decided else made


def describe_drops(state: ReviewState) -> tuple[str, ...]:
    """What was dropped and why, a line for each reason."""
    return tuple(
        f"{state.dropped[reason]:,} dropped: {words}" for reason, words in REASONS.items() if state.dropped[reason]
    )
