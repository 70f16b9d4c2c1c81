"""Cell: one variant's answer to one case, and the events that tell how it comes about.

Knows nothing of how cells are run (see run.py) or shown.
"""

from __future__ import annotations

import msgspec

from workbench.engines.engine import Completion
from workbench.evaluation.scorers.scorer import Score


class Cell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of one variant and one case.

    case: the case's number. repeat: from 0. error and hint: what went wrong, as in WorkbenchError; empty when
        nothing did.
    cached: the completion was made earlier; its times say nothing about this run.
    cost: money, by the bench's prices; 0 where none is set.
    prompt_digest: fingerprint of everything that determines the answer; "" where nothing does (no seed).
    provenance: JSON of a Provenance: enough to run exactly this again; "" where it was not kept.
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
    """A cell is done, well or not."""

    cell: Cell


CellEvent = CellStarted | CellText | CellFinished
