"""How a decode step is laid out over the cores, by what steps took: on all threads, on one, or beside another context.

Few sequences are bound by memory bandwidth, which one thread may use up; beside busy programs, one thread that waits
for no other is faster than two of which one is always late. Two contexts of a few sequences each do better with half
the cores each than one after the other on all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from workbench.inference.scheduling.batch import Part

Layout = Literal["all", "single", "pair"]
"""All threads; one thread; two contexts side by side, each on a half of the threads."""

MOST = 8
"""Sequences up to which there is a choice: more go fastest on all threads, in one batch."""

TRIALS = 3
"""Steps after which a layout is known; the fastest of them counts, since others compute meanwhile."""

_GAIN = 0.95
"""Below this part of a step's time another layout is chosen."""


class DecodeStrategy:
    """Seconds of decode steps by layout, sequences and the threads that were granted."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[Layout, int, int], list[float]] = {}

    @staticmethod
    def chooses(parts: Sequence[Part]) -> bool:
        """Whether a batch only decodes, and few sequences."""
        return 0 < len(parts) <= MOST and all(part.sequence.decoding for part in parts)

    def threads(self, parts: Sequence[Part], granted: int) -> int:
        """Threads for a batch; those that are not known yet are tried."""
        rows = len(parts)
        if granted < 2 or not self.chooses(parts):
            return granted
        everything, single = self._known("all", rows, granted), self._known("single", rows, granted)
        if everything is None or (single is None and self._hopeless(rows, granted)):
            return granted
        return 1 if single is None or single < _GAIN * everything else granted

    def pairs(self, first: Sequence[Part], second: Sequence[Part], granted: int) -> bool:
        """Whether the batches of two contexts are faster side by side than one after the other; tried, where that is
        not known."""
        if granted < 2 or not (self.chooses(first) and self.chooses(second)):
            return False
        each = [self._fastest(len(first), granted), self._fastest(len(second), granted)]
        together = self._known("pair", max(len(first), len(second)), granted)
        known = [seconds for seconds in each if seconds is not None]
        return len(known) == 2 and (together is None or together < _GAIN * sum(known))

    def record(self, batches: Sequence[Sequence[Part]], threads: int, granted: int, seconds: float) -> None:
        """A step took so long."""
        if granted < 2 or not all(map(self.chooses, batches)):
            return
        layout: Layout = "pair" if len(batches) > 1 else "single" if threads == 1 else "all"
        times = self._seconds.setdefault((layout, max(map(len, batches)), granted), [])
        times.append(seconds)
        del times[:-TRIALS]

    def _known(self, layout: Layout, rows: int, granted: int) -> float | None:
        times = self._seconds.get((layout, rows, granted), [])
        return min(times) if len(times) == TRIALS else None

    def _fastest(self, rows: int, granted: int) -> float | None:
        times = [self._known("all", rows, granted), self._known("single", rows, granted)]
        return min((seconds for seconds in times if seconds is not None), default=None)

    def _hopeless(self, rows: int, granted: int) -> bool:
        """Whether one thread lost already with fewer sequences, each of which adds to what it computes."""
        for fewer in range(1, rows):
            everything, single = self._known("all", fewer, granted), self._known("single", fewer, granted)
            if everything is not None and single is not None and single > everything:
                return True
        return False
