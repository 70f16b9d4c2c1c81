"""The rows of a context: a request that writes, or a weighing that reads given answers.

Knows nothing of batches, or of who gets a place when.
"""

from __future__ import annotations

from workbench.engines.answer import Answer
from workbench.engines.engine import Sampling
from workbench.engines.rows import Row
from workbench.engines.sampler import Sampler
from workbench.engines.weighing import Branch, Branches

_SIDE_BY_SIDE = 256
"""Tokens of a weighing's answers that have cells at the same time, unless a single answer has more."""


class LlamaRow(Row):
    """A request that is to get a sequence of the context.

    room: cells it may need beyond its prompt's. begun: the numbers behind its prompt have come. aside: its sequence in
    the annex, where what it writes is evaluated; its prompt stays where it was read.
    """

    def __init__(self, answer: Answer, sampler: Sampler, order: int = 0) -> None:
        super().__init__(answer)
        self.sampler = sampler
        self.order = order
        self.sequence = -1
        self.room = 0
        self.begun = False
        self.aside: int | None = None

    @property
    def reading(self) -> bool:
        """Whether its prompt is not evaluated wholly."""
        return not self.writing and bool(self.pending)

    def step_back(self) -> None:
        """The prompt's last token is to be evaluated again."""
        self.position -= 1
        self.pending = self.answer.prompt[-1:]
        self.answer.cached_tokens -= 1

    @property
    def wanted(self) -> int:
        """Cells that it may need beyond its prompt's."""
        return self.answer.request.sampling.max_tokens


class Place:
    """Where a branch is evaluated. position: how many of its tokens are."""

    def __init__(self, branch: Branch, sequence: int) -> None:
        self.branch = branch
        self.sequence = sequence
        self.position = 0

    @property
    def pending(self) -> list[int]:
        return self.branch.inputs[self.position :]


class WeighingRow(LlamaRow):
    """A row that reads a conversation, whose answers are then weighed. places: where that goes on now."""

    def __init__(self, answer: Answer, branches: Branches, order: int = 0) -> None:
        super().__init__(answer, Sampler(Sampling(), {}, ()), order)
        self.branches = branches
        self.places: list[Place] = []

    @property
    def wanted(self) -> int:
        sizes = [len(branch.inputs) for branch in self.branches.all]
        return 1 + max(max(sizes, default=0), min(sum(sizes), _SIDE_BY_SIDE))

    @property
    def waiting(self) -> list[Branch]:
        """Answers that have no place yet, and need one."""
        placed = [place.branch for place in self.places]
        return [branch for branch in self.branches.left if branch not in placed] if self.begun else []

    @property
    def spare(self) -> int:
        """Cells of its room that no place takes; one is for the conversation's last token, which may be read twice."""
        return self.room - 1 - sum(len(place.branch.inputs) for place in self.places)
