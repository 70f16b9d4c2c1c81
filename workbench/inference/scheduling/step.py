"""One step: the batches that schedulers have planned are evaluated, and handed back to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

from workbench.errors import EngineError
from workbench.inference.scheduling.backend import Outputs
from workbench.inference.scheduling.batch import Part
from workbench.inference.scheduling.host_cache import HostCache
from workbench.inference.scheduling.preemption import Preemption, StepAborted
from workbench.inference.scheduling.prefill_budget import PrefillBudget
from workbench.inference.scheduling.stats import EngineStats
from workbench.inference.types import Outcome
from workbench.inference.vocabulary import Vocabulary

Result = Outputs | StepAborted | EngineError
"""What came of a batch."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What the schedulers of one model share. threads: that the next step of so many parts may use."""

    vocabulary: Vocabulary
    clock: Callable[[], float]
    budget: PrefillBudget
    host: HostCache
    stats: EngineStats
    preemption: Preemption
    threads: Callable[[Sequence[Part]], int]

    def record(self, parts: Sequence[Part], seconds: float) -> None:
        """A step evaluated these."""
        decoded = sum(1 for part in parts if part.sequence.decoding)
        prefill = sum(len(part.run.tokens) for part in parts) - decoded
        if any(part.run.picture for part in parts):  # a picture's time says nothing of a token's
            self.stats.record(prefill, 0, 0.0)
            self.stats.completion_tokens += decoded
            return
        self.budget.record(prefill, decoded, seconds)
        self.stats.record(prefill, decoded, seconds)


class Stepper(Protocol):
    """A scheduler, as a step sees it."""

    def compute(self, parts: Sequence[Part], threads: int) -> Result:
        """Evaluate a batch; may run in any thread."""
        ...

    def accept(self, parts: Sequence[Part], result: Result) -> list[Outcome]:
        """What comes of a batch."""
        ...


def run_step(
    jobs: Sequence[tuple[Stepper, list[Part]]], resources: Resources, threads: int, executor: Executor | None = None
) -> list[Outcome]:
    """Evaluate a batch of one scheduler, or those of several side by side, on so many threads each.

    Nothing where that would be left at once: a cancel is on the way, or an interactive request.
    """
    parts = [part for _, batch in jobs for part in batch]
    requests = {part.sequence.id for part in parts}
    yields = not any(part.sequence.interactive for part in parts)
    if not parts or not resources.preemption.begin(requests, yields):
        return []
    started = resources.clock()
    try:
        beside = [executor.submit(one.compute, batch, threads) for one, batch in jobs[1:]] if executor else []
        results = [jobs[0][0].compute(jobs[0][1], threads), *(future.result() for future in beside)]
    finally:
        resources.preemption.end()
    if not any(isinstance(result, (StepAborted, EngineError)) for result in results):
        resources.record(parts, resources.clock() - started)
    accepted = (one.accept(batch, result) for (one, batch), result in zip(jobs, results, strict=True))
    return [event for events in accepted for event in events]
