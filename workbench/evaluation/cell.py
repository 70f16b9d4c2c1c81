"""Cell: one variant's answer to one case, and the events that tell how it comes about.

Knows nothing of how cells are run (see run.py) or shown.
"""

from __future__ import annotations

import msgspec

from workbench.engines.engine import Completion
from workbench.evaluation.scorers.scorer import Score


class Cell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of one variant and one case.

    case: the case's number. error and hint: what went wrong, as in WorkbenchError; empty when nothing did.
    """

    variant: str
    case: int
    completion: Completion = Completion()
    scores: tuple[Score, ...] = ()
    error: str = ""
    hint: str = ""


class CellStarted(msgspec.Struct, frozen=True):
    """A cell was handed to its engine."""

    variant: str
    case: int


class CellText(msgspec.Struct, frozen=True):
    """A piece of a cell's answer: data, never markup."""

    variant: str
    case: int
    text: str
    thinking: bool = False


class CellFinished(msgspec.Struct, frozen=True):
    """A cell is done, well or not."""

    cell: Cell


CellEvent = CellStarted | CellText | CellFinished
