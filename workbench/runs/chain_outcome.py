"""What came of the calls of a cell that makes several: of each one, and of all together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from workbench.errors import WorkbenchError
from workbench.inference.types import Completion
from workbench.runs.cell_step import CellStep
from workbench.runs.chain import StepCall
from workbench.store.cell_records import StoredCompletion


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """What came of a call. stored: the completion as the store has it or should have it. found: it was known, so that
    the model was not asked. error: why there is none, or only a part. model: that was asked."""

    stored: StoredCompletion
    model: str = ""
    cached: bool = False
    found: bool = False
    cost: float = 0.0
    error: WorkbenchError | None = None


AnswerCall = Callable[[StepCall], Awaitable[StepAnswer]]

OnStep = Callable[[int, CellStep], object]
"""Gets a call when it has ended, with its position among them, and again where more is known of it."""


class PartProgress(NamedTuple):
    """How many items of a step's map, or samples of its vote, have all their answers.

    item, sample: of the one that ended last, from 1; of a vote on an item, item is that one. ended: 0 where they have
    just begun.
    """

    step: str
    unit: Literal["item", "sample"]
    item: int
    sample: int
    ended: int
    total: int


OnPart = Callable[[PartProgress], object]
"""Called when items or samples begin that are asked side by side, and behind the calls of each, in the order in which
they end."""


class ChainOutcome(NamedTuple):
    """completion: the text of the last step that was carried out, the tokens and times of all calls. error: why a step
    failed. answers: those that were not known before and may be used again. spent: money for those that were not known.
    last: the last call that was made."""

    steps: tuple[CellStep, ...]
    completion: Completion
    error: WorkbenchError | None = None
    answers: tuple[StoredCompletion, ...] = ()
    spent: float = 0.0
    last: StepCall | None = None

    @property
    def cached(self) -> bool:
        """Whether the answer to any call was known, so that the times are not those of today."""
        return any(step.cached for step in self.steps)

    @property
    def is_known(self) -> bool:
        """Whether no model was asked."""
        return all(step.cached for step in self.steps if step.state in ("done", "failed"))

    @property
    def cost(self) -> float:
        return sum(step.cost for step in self.steps)

    @property
    def share_seconds(self) -> float:
        return sum(step.share_seconds for step in self.steps)
