"""How a step is laid out over the machine's cores: which way is the fastest for so many rows, by measurement.

A step may go as one batch on one thread, as one batch on all threads, or as two halves side by side in two contexts,
each on a part of the threads and row by row: two to four rows in one batch often take longer than one after the other.
Knows nothing of native code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

Layout = Literal["single", "batch", "split"]
"""One batch on one thread; one batch on all threads; two contexts side by side, each of them row by row."""

SIZES = (1, 2, 3, 4, 6, 8)
"""Rows for which it is measured; others go as the next smaller number does."""

_GAIN = 0.95
"""Below this part of a batch's time another layout is chosen."""

_HOPELESS = 1.25
"""A layout that takes this many times the best is not measured for more rows."""

Trial = Callable[[int, Layout], float | None]
"""Evaluates so many rows in a layout, and says how many seconds that took; None where it could not."""


class Layouts:
    """Seconds of a step by the number of rows that write in it. splits: whether there is a second context."""

    def __init__(self, splits: bool = True) -> None:
        self._splits = splits
        self._seconds: dict[tuple[int, Layout], float] = {}

    def choose(self, rows: int) -> Layout:
        """The fastest way for a step of so many rows. As one batch while nothing is known."""
        known = {layout: seconds for (size, layout), seconds in self._seconds.items() if size == _nearest(rows)}
        if "batch" not in known:
            return "batch"
        best = min(known, key=lambda layout: known[layout])
        return best if known[best] < _GAIN * known["batch"] else "batch"

    def pays_together(self, first: int, second: int) -> bool:
        """Whether steps of two contexts, with so many rows each, are faster side by side than one after the other."""
        rows = 2 * max(first, second)
        if rows > SIZES[-1]:  # so many go faster as a batch
            return False
        both = self._seconds.get((_nearest(rows), "split"))
        alone = [seconds for seconds in (self._alone(first), self._alone(second)) if seconds is not None]
        return both is not None and len(alone) == 2 and both < _GAIN * sum(alone)

    def measure(self, trial: Trial, seconds: float, clock: Callable[[], float]) -> None:
        """Try what has not been tried, for so long at most."""
        end = clock() + seconds
        for size, layout in self._untried():
            if clock() >= end:
                return
            took = trial(size, layout)
            if took is not None:
                self._seconds[size, layout] = took

    def _untried(self) -> Iterator[tuple[int, Layout]]:
        hopeless: set[Layout] = set() if self._splits else {"split"}
        for size in SIZES:
            layouts: tuple[Layout, ...] = ("batch", "single") if size == 1 else ("batch", "split", "single")
            for layout in layouts:
                if layout not in hopeless and (size, layout) not in self._seconds:
                    yield size, layout
            known = {layout: self._seconds[size, layout] for layout in layouts if (size, layout) in self._seconds}
            best = min(known.values(), default=0.0)
            hopeless |= {layout for layout in known if known[layout] > _HOPELESS * best} - {"batch"}

    def _alone(self, rows: int) -> float | None:
        size = _nearest(rows)
        return min(
            (seconds for (at, layout), seconds in self._seconds.items() if at == size and layout != "split"),
            default=None,
        )


def _nearest(rows: int) -> int:
    """The size that was measured for so many rows."""
    return max(size for size in SIZES if size <= rows)
