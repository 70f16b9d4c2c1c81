"""SearchControl: what a person wants of a running search: a pause, its end, another candidate. For any thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import NamedTuple

from workbench.search.trials import CandidateChange


class Addition(NamedTuple):
    """A candidate that a person made. parent: id of the one that it was made from. reason: why, in words."""

    parent: str
    change: CandidateChange
    reason: str


class SearchControl:
    """cancelled: end soon, without a result. finishing: search no further, and test the best so far."""

    def __init__(self) -> None:
        self.cancelled = self.finishing = False
        self._unpaused = threading.Event()
        self._unpaused.set()
        self._additions: SimpleQueue[Addition] = SimpleQueue()

    @property
    def paused(self) -> bool:
        return not self._unpaused.is_set()

    def pause(self) -> None:
        self._unpaused.clear()

    def unpause(self) -> None:
        self._unpaused.set()

    def wait(self) -> None:
        """Return once it is not paused."""
        self._unpaused.wait()

    def finish(self) -> None:
        self.finishing = True
        self.unpause()

    def cancel(self) -> None:
        self.cancelled = True
        self.unpause()

    def add(self, addition: Addition) -> None:
        self._additions.put(addition)

    def additions(self) -> Iterator[Addition]:
        """Those that were added since this was asked last."""
        while True:
            try:
                yield self._additions.get_nowait()
            except Empty:
                return

    def find_order(self) -> str:
        """What a person wants that ends the search, in words; "" for nothing."""
        return "it was cancelled" if self.cancelled else "it was ended by hand" if self.finishing else ""
