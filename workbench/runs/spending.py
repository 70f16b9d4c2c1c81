"""What a run may cost and has cost: SpendingLimit stops the dispatch of cells before the limit is passed."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.errors import BenchError
from workbench.prompting.prompt import Message
from workbench.runs.cost import Price

_CHARACTERS_PER_TOKEN = 4
_ENOUGH = 3
"""finished cells from which the next one is estimated, by the dearest of them"""


def estimate_tokens(messages: Sequence[Message]) -> int:
    """About how many tokens a prompt has, by its length alone."""
    return sum(len(message.content) // _CHARACTERS_PER_TOKEN + 4 for message in messages)


def estimate_most(price: Price, prompt_tokens: float, max_tokens: float) -> float:
    """The most that an answer can cost by its tokens; the machine's hour is not known before."""
    return (prompt_tokens * price.input + max_tokens * price.output) / 1_000_000


class SpendingLimit:
    """See the module. limit: money, in the prices' currency; None: none. For one thread.

    spent: by cells and judges of this attempt. reached: no further cell may start.
    """

    def __init__(self, limit: float | None) -> None:
        if limit is not None and not limit > 0:
            raise BenchError(f"--max-cost is {limit:g}: expected more than 0.", "Write an amount such as 0.50.")
        self.limit = limit
        self.spent = 0.0
        self.reached = False
        self._cells: dict[str, list[float]] = {}

    def add(self, model: str, cost: float) -> None:
        """Note what a cell of a model cost, its judges among it."""
        self.spent += cost
        self._cells.setdefault(model, []).append(cost)

    def has_room(self, model: str, running: int, most: float) -> bool:
        """Whether one more cell fits, beside those that run. most: what it can cost, as far as is known before."""
        if self.limit is None:
            return True
        known = self._cells.get(model, [])
        each = max(known) if len(known) >= _ENOUGH else most
        return self.spent + (running + 1) * each <= self.limit
