"""Turns: which rows are evaluated now, where one pass over the weights cannot take all of them.

Rows that can share a pass are a group; the groups go one after another, each for a few steps, so that a long answer
does not hold up the others until its end. Knows nothing of what a group has in common.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

STEPS = 8
"""Steps of a turn, where another group waits."""

SomeRow = TypeVar("SomeRow")


class Turns(Generic[SomeRow]):
    """Whose turn it is. group: what rows that can share a pass have in common."""

    def __init__(self, group: Callable[[SomeRow], Hashable]) -> None:
        self._group = group
        self._order: list[Hashable] = []
        self._steps = 0

    def clear(self) -> None:
        """Begin anew: the first group that comes is the first on turn."""
        self._order, self._steps = [], 0

    def take(self, rows: Sequence[SomeRow]) -> list[SomeRow]:
        """The rows, out of all that are there, whose turn the next step is."""
        groups = {row: self._group(row) for row in rows}
        there = dict.fromkeys(groups.values())
        on_turn = self._order[:1]
        self._order = [group for group in self._order if group in there]
        self._order += [group for group in there if group not in self._order]
        if self._order[:1] != on_turn:
            self._steps = 0
        elif self._steps >= STEPS and len(self._order) > 1:
            self._order.append(self._order.pop(0))
            self._steps = 0
        self._steps += 1
        return [row for row in rows if groups[row] == self._order[0]]
