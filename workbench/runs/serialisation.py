"""Cells and cases in the form in which the store keeps them, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import msgspec

from workbench.datasets import Case
from workbench.inference.remote.card import CapabilityCard
from workbench.prompting.context_fit import Strategy
from workbench.runs.cell import Cell
from workbench.runs.cell_step import CellStep
from workbench.scoring.scorer import Score, Unscored
from workbench.store.cell_records import CellRecord, InputRecord, ScoreRecord, StoredCompletion
from workbench.store.runs import Run

_ALWAYS = frozenset(("number", "variables", "expected", "line", "also", "typed"))
"""Fields of a case that are kept also where they say nothing, so that equal cases of earlier runs are equal."""

UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeError, ValueError, TypeError)
"""What decoding a damaged record raises."""


class RunConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a run was asked for. file: the bench's. cases: how many there are; fewer in the store mean that it was killed
    before they were all written down. warnings: what a reader of its scores has to know. strategy, cache and
    concurrency:
    as in the run's Options; None in runs of an earlier version. left_out: what of the dataset no cell sees. shard: the
    part of the run that this one is, such as `3/8`; empty: all of it. cards: the capability card of each model on a
    server, as JSON, by the model's name."""

    file: str = ""
    cases: int = 0
    warnings: tuple[str, ...] = ()
    strategy: Strategy | None = None
    cache: bool = True
    concurrency: int | None = None
    left_out: tuple[str, ...] = ()
    shard: str = ""
    cards: dict[str, str] = {}


def is_config_readable(run: Run) -> bool:
    return _decode_config(run) is not None


def read_config(run: Run) -> RunConfig:
    """How a run was asked for; the usual where the record of it cannot be read."""
    return _decode_config(run) or RunConfig()


def _decode_config(run: Run) -> RunConfig | None:
    try:
        return msgspec.json.decode(run.options, type=RunConfig)
    except UNREADABLE:
        return None


def read_card(text: str) -> CapabilityCard | None:
    """A card as it is kept with a run; None where there is none, or it is of another version."""
    try:
        return msgspec.json.decode(text, type=CapabilityCard) if text else None
    except UNREADABLE:
        return None


def write_case(case: Case) -> InputRecord:
    """A case as it is kept; number, line and expected answer stand beside its body, so that equal texts are equal."""
    bare = msgspec.to_builtins(
        msgspec.structs.replace(case, number=0, line=0, expected=None, passages=(), turn_passages=(), retrieved_by="")
    )
    body = msgspec.json.encode({name: value for name, value in bare.items() if value or name in _ALWAYS}).decode()
    return InputRecord(case.number, body, case.expected, case.line)


def read_case(record: InputRecord) -> Case | None:
    """The case; None where its record is damaged."""
    try:
        case = msgspec.json.decode(record.body, type=Case)
    except UNREADABLE:
        return None
    return msgspec.structs.replace(case, number=record.number, line=record.line, expected=record.expected)


def is_case_readable(record: InputRecord) -> bool:
    return read_case(record) is not None


def is_score_readable(more: str) -> bool:
    """Whether what is kept beside a score's value can be read."""
    return _decode_details(more) is not None


def preview_case(body: str, longest: int) -> dict[str, str]:
    """The beginning of each variable, on one line; a word about it where the record is damaged."""
    case = read_case(InputRecord(0, body))
    if case is None:
        return {"damaged": "This case cannot be read."}
    return {name: " ".join(text[: longest * 2].split())[:longest] for name, text in case.variables.items()}


def write_cell(
    cell: Cell,
    stored: StoredCompletion,
    variants: Sequence[str],
    metrics: Sequence[str],
    answers: tuple[StoredCompletion, ...] = (),
) -> CellRecord:
    """A cell as it is kept. stored: its completion, which another cell may have too. answers: as in CellRecord."""
    return CellRecord(
        cell.case,
        variants.index(cell.variant),
        cell.repeat,
        stored,
        failed=bool(cell.error),
        cached=cell.cached,
        cost=cell.cost,
        error=cell.error,
        hint=cell.hint,
        scores=tuple(_write_score(score, metrics) for score in cell.scores),
        steps=msgspec.json.encode(cell.steps).decode() if cell.steps else "",
        answers=answers,
    )


def read_cell(record: CellRecord, variants: Sequence[str], metrics: Sequence[str], provenance: str = "") -> Cell:
    return Cell(
        variants[record.variant],
        record.number,
        record.stored.completion,
        tuple(_read_score(score, metrics) for score in record.scores),
        record.error,
        record.hint,
        record.repeat,
        record.cached,
        record.cost,
        record.stored.digest.hex() if record.stored.digest else "",
        provenance,
        read_steps(record.steps),
    )


def read_steps(text: str) -> tuple[CellStep, ...]:
    """The calls of a cell; none where the record of them is damaged: the answer and its scores stand without it."""
    try:
        return msgspec.json.decode(text, type=tuple[CellStep, ...]) if text else ()
    except UNREADABLE:
        return ()


class _ScoreDetails(msgspec.Struct, omit_defaults=True):
    """What a score may have beside the usual."""

    details: str = ""
    parts: dict[str, float] = {}


def _write_score(score: Score, metrics: Sequence[str]) -> ScoreRecord:
    more = _ScoreDetails(score.details, score.parts)
    details = msgspec.json.encode(more).decode() if more != _ScoreDetails() else ""
    index = metrics.index(score.scorer)
    return ScoreRecord(index, score.value, score.applies, score.extracted, score.explanation, details, score.unscored)


def _read_score(record: ScoreRecord, metrics: Sequence[str]) -> Score:
    more = _decode_details(record.details) or _ScoreDetails()
    return Score(
        metrics[record.metric],
        record.value,
        record.extracted,
        record.explanation,
        record.applies,
        more.details,
        more.parts,
        unscored=cast("Unscored", record.unscored),
    )


def _decode_details(text: str) -> _ScoreDetails | None:
    """What else is known of a score; None where that is damaged: the score stands without it."""
    try:
        return msgspec.json.decode(text, type=_ScoreDetails) if text else _ScoreDetails()
    except UNREADABLE:
        return None
