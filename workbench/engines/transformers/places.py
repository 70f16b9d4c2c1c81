"""Places: which row has which number in the memory, who gets one next, and who has to leave it for someone who looks
on.

Numbers are best without gaps, since a batch whose rows lie side by side is read where it lies. A gap is left to the
next row that comes; only where none does, another row is moved. Knows nothing of what is evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workbench.engines.transformers.memory import Memory
from workbench.engines.transformers.row import MemoryRow

PATIENCE = 64
"""Requests that may go before one that came earlier because they share more with what is known."""

_LOOKED_AT = 64
"""Waiting requests among which the best is chosen."""


class Places:
    """The places of one memory. most: rows that have one at the same time."""

    def __init__(self, memory: Memory, most: int) -> None:
        self.most = most
        self._memory = memory
        self._rows: dict[int, MemoryRow] = {}
        self._passed = 0

    @property
    def rows(self) -> Sequence[MemoryRow]:
        return tuple(self._rows.values())

    def choose(self, waiting: Sequence[MemoryRow], known: Callable[[MemoryRow], int]) -> MemoryRow | None:
        """The row whose turn it is: one that someone looks on; else the one of which most is known. None: no place."""
        if not waiting:
            return None
        first = min(waiting, key=lambda row: (row.priority, row.order))
        if self.full and self.find_guest(first) is None:
            return None
        if first.priority == 0 or first.aside is not None or self._passed >= PATIENCE:
            return first
        return max(waiting[:_LOOKED_AT], key=lambda row: (known(row), -row.order))

    def find_guest(self, row: MemoryRow) -> MemoryRow | None:
        """Who is to leave for a row that someone looks on: the last to come of those that nobody does."""
        others = [other for other in self._rows.values() if other.priority > row.priority]
        return max(others, key=lambda other: other.order, default=None) if self.full else None

    @property
    def full(self) -> bool:
        return len(self._rows) >= self.most

    def enter(self, row: MemoryRow, oldest: int) -> None:
        """Give a row a place, and what was put aside for it. oldest: the order of who waits longest."""
        row.number = next(number for number in range(self.most) if number not in self._rows)
        self._rows[row.number] = row
        self._passed = 0 if row.order == oldest else self._passed + 1
        if row.aside is not None:
            self._memory.bring_back(row.number, row.aside)
            row.aside = None

    def leave(self, row: MemoryRow, failed: bool = False) -> None:
        """Take a row's place back. failed: its numbers may not be numbers."""
        del self._rows[row.number]
        self._memory.forget(row.number, failed)
        row.number = -1

    def put_aside(self, row: MemoryRow) -> None:
        """Take a row's place back, and keep what the memory held for it."""
        row.aside = self._memory.put_aside(row.number, row.held)
        self.leave(row)

    def close_gaps(self) -> None:
        """Move the last rows to where nobody is."""
        for number in range(len(self._rows)):
            if number not in self._rows:
                last = self._rows.pop(max(self._rows))
                self._memory.move(last.number, number, last.held)
                self._rows[number] = last
                last.number = number
