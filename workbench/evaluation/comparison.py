"""A bench's cells run side by side without a store, told as small events.

Knows nothing of terminals or files of results. Everything happens on the caller's thread: engines only put
their events into one queue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from queue import SimpleQueue

import msgspec

from workbench.engines.engine import Chunk, Event, Failure, fold
from workbench.errors import WorkbenchError
from workbench.evaluation.bench import Bench, Variant
from workbench.evaluation.cell import Cell, CellEvent, CellFinished, CellStarted, CellText
from workbench.evaluation.datasets import Case
from workbench.evaluation.launch import Draft, Launch
from workbench.evaluation.perturbations import perturb
from workbench.evaluation.scoring import Scoring
from workbench.evaluation.sources import Sources
from workbench.hosting.pool import Pool
from workbench.prompting.budget import Strategy


def compare(
    bench: Bench,
    cases: Sequence[Case],
    pool: Pool,
    sources: Sources,
    strategy: Strategy = "refuse",
    at_once: int = 8,
    folder: Path | None = None,
) -> Iterator[CellEvent]:
    """Run every variant on every case, case by case, up to `at_once` cells at a time.

    Each cell gives CellStarted, any number of CellText and one CellFinished; a cell that fails says so in its
    Cell and stops no other. Closing the iterator cancels what is running.
    folder: the bench's, from which files that scorers name are looked up first.
    Raises ScorerError before anything runs.
    """
    scoring = Scoring(bench.scorers, folder or Path.cwd())
    sources = Sources(  # one reading for the whole run
        cache(sources.open_prompt), cache(sources.find_model), cache(sources.find_adapters)
    )
    happened: SimpleQueue[tuple[_Job, Event]] = SimpleQueue()
    waiting = deque(_Job(variant, case) for case in cases for variant in bench.variants)
    running: set[_Job] = set()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                job = waiting.popleft()
                yield CellStarted(job.variant.name, job.case.number)
                running.add(job)
                job.start(pool, sources, strategy, happened)
            job, event = happened.get()
            yield from job.take(event)
            if job.done:
                running.discard(job)
                yield CellFinished(job.finish(scoring))
    finally:
        for job in running:
            job.cancel()
        scoring.close()


class _Job:
    """One cell under way."""

    def __init__(self, variant: Variant, case: Case) -> None:
        self.variant = variant
        self.case = case
        self.done = False
        self._chunks: list[Chunk] = []
        self._failure: Failure | None = None
        self._launch: Launch | None = None

    def start(
        self, pool: Pool, sources: Sources, strategy: Strategy, happened: SimpleQueue[tuple[_Job, Event]]
    ) -> None:
        """Ask the engine; what comes of it, an error at once included, goes into the queue."""
        try:
            prompt = perturb(sources.open_prompt(self.variant.prompt), self.variant.perturbation)
            model = sources.find_model(self.variant.model)
            adapters = sources.find_adapters(self.variant.adapters)
            draft = Draft.of(self.variant, prompt, self.case, strategy, model, adapters)
            self._launch = Launch(pool, draft, lambda event: happened.put((self, event)))
        except WorkbenchError as error:
            happened.put((self, Failure(0, error.message, error.hint, error.details)))

    def take(self, event: Event) -> Iterator[CellEvent]:
        """Go on with what the engine said."""
        if isinstance(event, Failure):
            self._failure, self.done = event, True
        elif isinstance(event, Chunk):
            self._chunks.append(event)
            self.done = event.stop_reason is not None
            if event.text:
                yield CellText(self.variant.name, self.case.number, event.text, event.thinking)

    def finish(self, scoring: Scoring) -> Cell:
        """The cell as it ended; the text of a failed one is what there was until then."""
        completion = fold(self._chunks)
        if self._failure:
            completion = msgspec.structs.replace(completion, stop_reason="error")
            error, hint = self._failure.message, self._failure.hint
            return Cell(self.variant.name, self.case.number, completion, error=error, hint=hint)
        scores = scoring.score(completion.text, self.case, completion=completion).result()
        return Cell(self.variant.name, self.case.number, completion, scores)

    def cancel(self) -> None:
        if self._launch:
            self._launch.cancel()
