"""The rows of the memory: a request that writes, or a weighing that reads given answers.

Knows nothing of batches, or of who gets a place when.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.engines.answer import Answer
from workbench.engines.engine import State
from workbench.engines.rows import Row
from workbench.engines.sampler import Sampler
from workbench.engines.transformers.memory import Run
from workbench.engines.transformers.overlay import Overlay
from workbench.engines.weighing import Branches


class MemoryRow(Row):
    """A request that is to get a place in the memory.

    overlay: the adapters it runs on. state: as it was last told. number: its place. begun: the numbers behind its
    prompt have come. aside: what the memory held for it when it had to leave its place to another one.
    """

    def __init__(self, answer: Answer, sampler: Sampler, overlay: Overlay) -> None:
        super().__init__(answer)
        self.sampler = sampler
        self.overlay = overlay
        self.state: State = "queued"
        self.number = -1
        self.order = 0
        self.begun = False
        self.aside: Any = None

    @property
    def alone(self) -> bool:
        """Whether it is to be computed by itself, the same each time."""
        return self.answer.request.reproducible

    @property
    def yields(self) -> bool:
        """Whether it makes way in the middle of a pass: another division of its prompt could move the last bits."""
        return self.priority > 0 and not self.alone

    @property
    def seen(self) -> int:
        """Tokens of its own that are evaluated; what an overlay puts in front is not counted."""
        return self.position - self.overlay.tokens

    @property
    def held(self) -> int:
        """Cells of the memory that it still needs."""
        return self.position

    def run(self, tokens: Sequence[int], ahead: int = 0) -> Run:
        """Tokens to evaluate next. ahead: how many others will have been by then."""
        return Run(self.number, self.position + ahead, tokens, recipe=self.overlay.recipe)


class WeighingRow(MemoryRow):
    """A row that reads a conversation, whose answers are then weighed. weighed: tokens of the answer at hand."""

    def __init__(self, answer: Answer, overlay: Overlay, branches: Branches) -> None:
        super().__init__(answer, Sampler(answer.request.sampling, {}, ()), overlay)
        self.branches = branches
        self.weighed = 0

    @property
    def held(self) -> int:
        return self.position + self.weighed
