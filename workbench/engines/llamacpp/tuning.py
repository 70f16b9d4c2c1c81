"""Measuring how steps are laid out best, once: when a model is opened, or in the first lull with all its cores granted.

Knows nothing of requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workbench.cores.lease import Lease
from workbench.engines.llamacpp.context import Context
from workbench.engines.llamacpp.crew import Crew
from workbench.engines.llamacpp.layouts import Layout, Layouts

_SECONDS = 0.5
"""For so long, at most, a model is measured."""


class Tuning:
    """Fills layouts in. contexts: the bare model's, and the annex if there is one. scratch: see Build.

    threads: that the figures are for; fewer of them granted, and they would mislead.
    """

    def __init__(
        self,
        layouts: Layouts,
        crew: Crew,
        contexts: Sequence[Context],
        scratch: int,
        lease: Lease,
        threads: int,
        clock: Callable[[], float],
    ) -> None:
        self._layouts = layouts
        self._crew = crew
        self._contexts = contexts
        self._scratch = scratch
        self._lease = lease
        self._threads = min(threads, lease.cores)
        self._clock = clock
        self.left = True

    def measure(self) -> None:
        """Measure now, if the cores are there; `left` says whether it is still to be done."""
        if self.left and self._lease.threads() >= self._threads:
            self.left = False
            self._layouts.measure(self._try_out, _SECONDS, self._clock)

    def _try_out(self, rows: int, layout: Layout) -> float | None:
        took = self._crew.try_out(self._contexts, self._scratch, self._threads, rows, layout)
        self.left |= took is None  # someone came meanwhile: the rest waits for the next lull
        return took
