"""A bench carried out without a screen: cells run side by side, told as small events.

Knows nothing of terminals or files of results. Everything happens on the caller's thread: engines only put
their events into one queue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import NamedTuple

import msgspec

from workbench.engines.engine import Chunk, Event, Failure, fold
from workbench.errors import EngineError, WorkbenchError
from workbench.evaluation.bench import Bench, Variant
from workbench.evaluation.cell import Cell, CellEvent, CellFinished, CellStarted, CellText
from workbench.evaluation.dataset import Case
from workbench.evaluation.prepare import enabled_examples, prepare
from workbench.evaluation.scorers import Scorer, make_scorers
from workbench.hosting.pool import Pool, Ticket
from workbench.models.reference import Model
from workbench.prompting.budget import Measure, Strategy, fit
from workbench.prompting.prompt import Prompt

Counted = Future[tuple[int, ...]]


class Sources(NamedTuple):
    """Where the parts of a bench come from; both raise WorkbenchError for what they do not have."""

    open_prompt: Callable[[str], Prompt]
    find_model: Callable[[str], Model]


def compare(
    bench: Bench,
    cases: Sequence[Case],
    pool: Pool,
    sources: Sources,
    strategy: Strategy = "refuse",
    at_once: int = 8,
) -> Iterator[CellEvent]:
    """Run every variant on every case, case by case, up to `at_once` cells at a time.

    Each cell gives CellStarted, any number of CellText and one CellFinished; a cell that fails says so in its
    Cell and stops no other. Closing the iterator cancels what is running.
    Raises ScorerError before anything runs.
    """
    scorers = make_scorers(bench.scorers)
    happened: SimpleQueue[tuple[_Job, Counted | Event]] = SimpleQueue()
    waiting = deque(
        _Job(variant, case, pool, sources, strategy, happened) for case in cases for variant in bench.variants
    )
    running: set[_Job] = set()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                job = waiting.popleft()
                running.add(job)
                yield CellStarted(job.variant.name, job.case.number)
                job.start()
                if job.error:
                    running.discard(job)
                    yield CellFinished(job.finish(scorers))
            if running:
                job, what = happened.get()
                yield from job.take(what)
                if job.done:
                    running.discard(job)
                    yield CellFinished(job.finish(scorers))
    finally:
        for job in running:
            job.cancel()


class _Job:
    """One cell under way: rendered, measured, shortened where it must be, asked and judged."""

    def __init__(
        self,
        variant: Variant,
        case: Case,
        pool: Pool,
        sources: Sources,
        strategy: Strategy,
        happened: SimpleQueue[tuple[_Job, Counted | Event]],
    ) -> None:
        self.variant = variant
        self.case = case
        self.error: WorkbenchError | None = None
        self.done = False
        self._pool = pool
        self._sources = sources
        self._strategy = strategy
        self._happened = happened
        self._chunks: list[Chunk] = []
        self._ticket: Ticket | None = None
        self._dropped: tuple[str, ...] = ()

    def start(self) -> None:
        """Open what the cell needs and have its prompt counted."""
        try:
            self._prompt = self._sources.open_prompt(self.variant.prompt)
            self._model = self._sources.find_model(self.variant.model)
            self._examples = enabled_examples(self.variant, self._prompt)
            self._measure = Measure(self._prompt, self.case.variables, self._examples)
            counted = self._pool.count(self._model, self._measure.drafts, self._prompt.mode)
        except WorkbenchError as error:
            self._fail(error)
        else:
            counted.add_done_callback(lambda future: self._happened.put((self, future)))

    def take(self, what: Counted | Event) -> Iterator[CellEvent]:
        """Go on with what an engine said."""
        if isinstance(what, Future):
            self._ask(what)
        elif isinstance(what, Failure):
            self._fail(EngineError(what.message, what.hint, what.details))
        elif isinstance(what, Chunk):
            self._chunks.append(what)
            self.done = what.stop_reason is not None
            if what.text:
                yield CellText(self.variant.name, self.case.number, what.text, what.thinking)

    def finish(self, scorers: Sequence[Scorer]) -> Cell:
        """The cell as it ended."""
        completion = fold(self._chunks)
        if self.error:
            completion = msgspec.structs.replace(completion, stop_reason="error")
            error, hint = self.error.message, self.error.hint
            return Cell(self.variant.name, self.case.number, completion, error=error, hint=hint)
        scores = tuple(scorer.score(completion.text, self.case) for scorer in scorers)
        return Cell(self.variant.name, self.case.number, completion, scores, dropped=self._dropped)

    def cancel(self) -> None:
        if self._ticket:
            self._ticket.cancel()

    def _ask(self, counted: Counted) -> None:
        try:
            counts = counted.result()
            info = self._pool.info(self._model)
            limit = info.context_tokens if info else 0
            kept = fit(self._measure, counts, self.variant.sampling.max_tokens, limit, self._strategy)
            self._dropped = tuple(example.id for example in self._examples if example not in kept)
            ready = prepare(self.variant, self._prompt, self.case, examples=kept)
            self._ticket = self._pool.submit(
                self._model, ready.messages, ready.sampling, ready.mode, self._receive
            )
        except WorkbenchError as error:
            self._fail(error)

    def _receive(self, event: Event) -> None:
        self._happened.put((self, event))

    def _fail(self, error: WorkbenchError) -> None:
        self.error, self.done = error, True
