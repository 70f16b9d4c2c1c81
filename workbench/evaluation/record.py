"""Records: cells and cases in the form in which the store keeps them, and back.

Knows nothing of SQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import msgspec

from workbench.engines.engine import Completion, StopReason
from workbench.evaluation.cell import Cell
from workbench.evaluation.datasets import Case
from workbench.evaluation.scorers.scorer import Score, Unscored
from workbench.prompting.budget import Strategy
from workbench.store.cells import Answer, CellRecord, InputRecord, ScoreRecord
from workbench.store.runs import Run

UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeError, ValueError, TypeError)
"""What decoding a damaged record raises."""


class Wish(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a run was asked for. file: the bench's. cases: how many there are; fewer in the store mean that it was killed
    before they were all written down. warnings: what a reader of its scores has to know. strategy, cache and at_once:
    as in the run's Options; None in runs of an earlier version. left_out: what of the dataset no cell sees."""

    file: str = ""
    cases: int = 0
    warnings: tuple[str, ...] = ()
    strategy: Strategy | None = None
    cache: bool = True
    at_once: int | None = None
    left_out: tuple[str, ...] = ()


def is_wish_readable(run: Run) -> bool:
    return _decode_wish(run) is not None


def read_wish(run: Run) -> Wish:
    """How a run was asked for; the usual where the record of it cannot be read."""
    return _decode_wish(run) or Wish()


def _decode_wish(run: Run) -> Wish | None:
    try:
        return msgspec.json.decode(run.options, type=Wish)
    except UNREADABLE:
        return None


def write_case(case: Case) -> InputRecord:
    """A case as it is kept; number, line and expected answer stand beside its body, so that equal texts are equal."""
    bare = msgspec.structs.replace(case, number=0, line=0, expected=None)
    body = msgspec.json.encode(bare).decode()
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
    return _decode_more(more) is not None


def preview_case(body: str, longest: int) -> dict[str, str]:
    """The beginning of each variable, on one line; a word about it where the record is damaged."""
    case = read_case(InputRecord(0, body))
    if case is None:
        return {"damaged": "This case cannot be read."}
    return {name: " ".join(text[: longest * 2].split())[:longest] for name, text in case.variables.items()}


def write_cell(cell: Cell, answer: Answer, variants: Sequence[str], metrics: Sequence[str]) -> CellRecord:
    """A cell as it is kept. answer: what `write_answer` made of its completion, or the kept one it came from."""
    return CellRecord(
        cell.case,
        variants.index(cell.variant),
        cell.repeat,
        answer,
        failed=bool(cell.error),
        cached=cell.cached,
        cost=cell.cost,
        error=cell.error,
        hint=cell.hint,
        scores=tuple(_write_score(score, metrics) for score in cell.scores),
    )


def write_answer(done: Completion, digest: bytes | None, kept: bool, share_seconds: float) -> Answer:
    """A completion as it is kept."""
    return Answer(
        text=done.text,
        thinking=done.thinking,
        prompt_tokens=done.prompt_tokens,
        cached_tokens=done.cached_tokens,
        output_tokens=done.output_tokens,
        first_seconds=done.seconds_to_first_token,
        rate=done.tokens_per_second,
        seconds=done.elapsed_seconds,
        share_seconds=share_seconds,
        stop_reason=done.stop_reason,
        reproducible=done.reproducible,
        notes="\n".join(done.notes),
        digest=digest,
        kept=kept,
    )


def read_answer(answer: Answer) -> Completion:
    return Completion(
        text=answer.text,
        thinking=answer.thinking,
        prompt_tokens=answer.prompt_tokens,
        cached_tokens=answer.cached_tokens,
        output_tokens=answer.output_tokens,
        seconds_to_first_token=answer.first_seconds,
        tokens_per_second=answer.rate,
        elapsed_seconds=answer.seconds,
        stop_reason=cast("StopReason | None", answer.stop_reason),
        reproducible=answer.reproducible,
        notes=tuple(answer.notes.splitlines()),
    )


def read_cell(record: CellRecord, variants: Sequence[str], metrics: Sequence[str], provenance: str = "") -> Cell:
    return Cell(
        variants[record.variant],
        record.number,
        read_answer(record.answer),
        tuple(_read_score(score, metrics) for score in record.scores),
        record.error,
        record.hint,
        record.repeat,
        record.cached,
        record.cost,
        record.answer.digest.hex() if record.answer.digest else "",
        provenance,
    )


class _More(msgspec.Struct, omit_defaults=True):
    """What a score may have beside the usual."""

    details: str = ""
    parts: dict[str, float] = {}


def _write_score(score: Score, metrics: Sequence[str]) -> ScoreRecord:
    more = _More(score.details, score.parts)
    told = msgspec.json.encode(more).decode() if more != _More() else ""
    place = metrics.index(score.scorer)
    return ScoreRecord(place, score.value, score.applies, score.extracted, score.explanation, told, score.unscored)


def _read_score(record: ScoreRecord, metrics: Sequence[str]) -> Score:
    more = _decode_more(record.more) or _More()
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


def _decode_more(text: str) -> _More | None:
    """What else is known of a score; None where that is damaged: the score stands without it."""
    try:
        return msgspec.json.decode(text, type=_More) if text else _More()
    except UNREADABLE:
        return None
