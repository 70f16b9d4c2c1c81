"""Cell: one variant's answer to one case, and the events that report how it comes about."""

from __future__ import annotations

import msgspec

from workbench.inference.types import Completion, TokenLogprob
from workbench.runs.cell_step import CellStep
from workbench.scoring.scorer import Score


class Cell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of one variant and one case.

    case: the case's number. repeat: from 0. error and hint: what went wrong, as in WorkbenchError; empty when
        nothing did.
    cached: the completion was made earlier; its times say nothing about this run.
    cost: money, by the bench's prices; 0 where none is set.
    prompt_digest: fingerprint of everything that determines the answer; "" where nothing does (no seed).
    provenance: JSON of a Provenance: enough to run exactly this again; "" where it was not kept.
    steps: its calls, where it made several; then `completion` has the last one's text, and the tokens and times of all.
    """

    variant: str
    case: int
    completion: Completion = Completion()
    scores: tuple[Score, ...] = ()
    error: str = ""
    hint: str = ""
    repeat: int = 0
    cached: bool = False
    cost: float = 0.0
    prompt_digest: str = ""
    provenance: str = ""
    steps: tuple[CellStep, ...] = ()


class CellStarted(msgspec.Struct, frozen=True):
    """A cell was handed to its engine."""

    variant: str
    case: int
    repeat: int = 0


class CellText(msgspec.Struct, frozen=True):
    """A piece of a cell's answer: data, never markup."""

    variant: str
    case: int
    text: str
    thinking: bool = False
    repeat: int = 0


class CellFinished(msgspec.Struct, frozen=True):
    """A cell is done, well or not. tokens: of its answer, where they were asked for."""

    cell: Cell
    tokens: tuple[TokenLogprob, ...] = ()


CellEvent = CellStarted | CellText | CellFinished
