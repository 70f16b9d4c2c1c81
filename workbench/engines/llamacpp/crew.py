"""Evaluates batches, those of two contexts side by side where that is wanted; a call may be called off in the middle.

Knows nothing of what the batches hold, or which layout is the fastest (layouts.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from workbench.engines.interrupts import Interrupts
from workbench.engines.llamacpp.context import Context, Run
from workbench.engines.llamacpp.layouts import Layout

ABORTED = 2
"""What native code says of a batch that was called off."""

_TRIES = 2


class Job(NamedTuple):
    """A batch for one context. apart: its runs are evaluated one by one."""

    context: Context
    runs: list[Run]
    threads: int
    apart: bool = False


class Done(NamedTuple):
    """The native code's answer (0 is success), and where each run's logits are."""

    code: int
    indices: list[int]


class Crew:
    """Native code computes without Python's lock, so that a second thread is all it takes. close it."""

    def __init__(self, interrupts: Interrupts, clock: Callable[[], float]) -> None:
        self._interrupts = interrupts
        self._clock = clock
        self._second: ThreadPoolExecutor | None = None

    def evaluate(self, jobs: Sequence[Job], requests: Collection[int] = (), yields: bool = False) -> list[Done] | None:
        """Evaluate one or two batches at the same time; None where that would be stopped at once.

        requests, yields: see Interrupts.
        """
        if not self._interrupts.begin(requests, yields):
            return None
        try:
            return self._run(jobs)
        finally:
            self._interrupts.end()

    def try_out(self, contexts: Sequence[Context], scratch: int, cores: int, rows: int, layout: Layout) -> float | None:
        """Seconds that a step takes; None where it cannot be done now. scratch: a sequence that nobody else uses."""
        jobs = _mock(contexts, scratch, rows, layout, cores)
        found = []
        for _ in range(_TRIES):
            started = self._clock()
            done = self.evaluate(jobs, yields=True)
            found.append(self._clock() - started)
            for job in jobs:
                job.context.forget(scratch)
            if done is None or any(one.code for one in done):
                return None
        return min(found)

    def close(self) -> None:
        if self._second:
            self._second.shutdown()
            self._second = None

    def _run(self, jobs: Sequence[Job]) -> list[Done]:
        if len(jobs) == 1:
            return [_evaluate(jobs[0])]
        if self._second is None:
            self._second = ThreadPoolExecutor(1, "second-context")
        first, second = jobs
        aside = self._second.submit(_evaluate, second)
        return [_evaluate(first), aside.result()]


def _evaluate(job: Job) -> Done:
    job.context.use_threads(job.threads)
    return Done(*job.context.evaluate(job.runs, job.apart))


def _mock(contexts: Sequence[Context], scratch: int, rows: int, layout: Layout, cores: int) -> list[Job]:
    """A step like those of so many rows: it multiplies as many vectors with all weights."""
    if layout != "split":
        return [Job(contexts[0], [Run(scratch, 0, [0] * rows, False, True)], 1 if layout == "single" else cores)]
    halves = (rows // 2, rows - rows // 2)
    runs = [[Run(scratch, place, [0], True) for place in range(half)] for half in halves]
    return [Job(context, half, max(1, cores // 2), True) for context, half in zip(contexts, runs, strict=True)]
