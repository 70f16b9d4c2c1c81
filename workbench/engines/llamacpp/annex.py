"""A second context over the same weights, to which rows that write are moved, so that two halves go side by side.

One set of adapters at a time is laid over it. Knows nothing of when a move pays (layouts.py).
"""

from __future__ import annotations

from workbench.engines.llamacpp.adapters import BARE, Use
from workbench.engines.llamacpp.context import Context


class Annex:
    """Sequences of a context by the cells that each may need. sequences: numbers they may have."""

    def __init__(self, context: Context, sequences: int) -> None:
        self.context = context
        self._use = BARE
        self._free = list(range(sequences))[::-1]
        self._taken: dict[int, int] = {}

    def enter(self, use: Use, state: bytes, cells: int) -> int | None:
        """A sequence that has seen what the state holds; None where there is no place for so many cells."""
        if self._taken and self._use != use:
            return None
        if not self._free or sum(self._taken.values()) + cells > self.context.cells:
            return None
        if self._use != use:
            self.context.lay(use.laid)
            self._use = use
        sequence = self._free.pop()
        if not self.context.load(sequence, state):
            self._free.append(sequence)
            return None
        self._taken[sequence] = cells
        return sequence

    def leave(self, sequence: int) -> None:
        """A row has ended, or is elsewhere again."""
        self.context.forget(sequence)
        self._free.append(sequence)
        del self._taken[sequence]
