"""Weighing: the tokens of given answers are evaluated behind their conversation, and the numbers before each are kept.

Knows nothing of whose turn it is.
"""

from __future__ import annotations

from workbench.engines.interrupts import Interrupts
from workbench.engines.transformers.ending import to_numbers
from workbench.engines.transformers.memory import Memory
from workbench.engines.transformers.row import WeighingRow


class Scales:
    """Weighs one answer after another in its row's place: what an earlier one left there is not looked at."""

    def __init__(self, memory: Memory, interrupts: Interrupts) -> None:
        self._memory = memory
        self._interrupts = interrupts

    def weigh(self, row: WeighingRow, most: int) -> int:
        """Evaluate the next tokens of the answer whose turn it is, at most so many where it can be divided.

        How many were evaluated. Raises Interrupted, and whatever foreign code raises.
        """
        branch, longest = row.branches.left[0], self._memory.longest
        self._interrupts.begin([row.id], row.yields)
        if longest is None:  # what is seen cannot be unseen: begin again
            self._memory.forget(row.number, False)
            position = row.overlay.begin(self._memory, row.number)
            run = row.run([*row.branches.shared, *branch.inputs])._replace(position=position)
            branch.take(to_numbers(self._memory.evaluate_all(row.overlay.module, run)[-len(branch.inputs) :]))
            return len(run.tokens)
        tokens = branch.inputs[row.weighed : row.weighed + min(most, longest)]
        branch.take(to_numbers(self._memory.evaluate_all(row.overlay.module, row.run(tokens, row.weighed))))
        row.weighed = 0 if branch.done else row.weighed + len(tokens)
        return len(tokens)
