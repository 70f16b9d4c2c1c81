"""Turns: which sequences are evaluated now, where one batch cannot hold all of them.

Sequences that one batch can hold are a group. The groups take turns of a few steps, so that a long answer does not hold
up the others until its end.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from workbench.inference.scheduling.sequences import SequenceState

STEPS = 8
"""Steps of a turn, where another group waits."""


class Turns:
    """Whose turn it is. group: what sequences that one batch can hold have in common."""

    def __init__(self, group: Callable[[SequenceState], Hashable]) -> None:
        self._group = group
        self._order: list[Hashable] = []
        self._steps = 0

    def clear(self) -> None:
        """Begin anew: the first group that comes is the first on turn."""
        self._order, self._steps = [], 0

    def select(self, sequences: Sequence[SequenceState]) -> list[SequenceState]:
        """Those, out of all that are there, whose turn the next step is."""
        groups = [self._group(sequence) for sequence in sequences]
        there = dict.fromkeys(groups)
        if len(there) < 2 and self._order == list(there):
            return list(sequences)
        on_turn = self._order[:1]
        self._order = [group for group in self._order if group in there]
        self._order += [group for group in there if group not in self._order]
        if self._order[:1] != on_turn:
            self._steps = 0
        elif self._steps >= STEPS and len(self._order) > 1:
            self._order.append(self._order.pop(0))
            self._steps = 0
        return [sequence for sequence, group in zip(sequences, groups, strict=True) if group == self._order[0]]

    def advance(self) -> None:
        """A step of the group on turn is done."""
        self._steps += 1
