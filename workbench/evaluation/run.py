"""A bench carried out without a screen: cells run side by side, told as small events.

Knows nothing of terminals or files of results. Everything happens on the caller's thread: engines only put
their events into one queue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

import msgspec

from workbench.engines.engine import Chunk, Event, Failure, fold
from workbench.errors import WorkbenchError
from workbench.evaluation.bench import AdapterChoice, Bench, Variant
from workbench.evaluation.cell import Cell, CellEvent, CellFinished, CellStarted, CellText
from workbench.evaluation.datasets import Case
from workbench.evaluation.launch import Draft, Launch
from workbench.evaluation.plan import Plan
from workbench.evaluation.progress import RunEvent
from workbench.evaluation.scorers import Scorer, make_scorers
from workbench.hosting.pool import Pool
from workbench.models.reference import Applied, Model, resolve_adapters
from workbench.prompting.budget import Strategy
from workbench.prompting.prompt import Prompt
from workbench.store.store import Store


class Options(msgspec.Struct, frozen=True):
    """How a run is carried out; none of it changes what the answers are.

    at_once: cells in flight on one model. cache: take answers that are known already. unload: end a model's engine
    when its cells are done, where the run was what loaded it. retry_failed: run failed cells again when resuming.
    texts: tell the pieces of answers as they come (CellText). note: kept with the run.
    """

    strategy: Strategy = "refuse"
    at_once: int = 16
    cache: bool = True
    unload: bool = False
    retry_failed: bool = False
    texts: bool = False
    name: str = ""
    note: str = ""


def _find_paths(choices: tuple[AdapterChoice, ...]) -> tuple[Applied, ...]:
    return resolve_adapters(choices, Path.cwd(), ())


class Sources(NamedTuple):
    """Where the parts of a bench come from; all raise WorkbenchError for what they do not have."""

    open_prompt: Callable[[str], Prompt]
    find_model: Callable[[str], Model]
    find_adapters: Callable[[tuple[AdapterChoice, ...]], tuple[Applied, ...]] = _find_paths


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
                yield CellFinished(job.finish(scorers))
    finally:
        for job in running:
            job.cancel()


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
            prompt = sources.open_prompt(self.variant.prompt)
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

    def finish(self, scorers: Sequence[Scorer]) -> Cell:
        """The cell as it ended; the text of a failed one is what there was until then."""
        completion = fold(self._chunks)
        if self._failure:
            completion = msgspec.structs.replace(completion, stop_reason="error")
            error, hint = self._failure.message, self._failure.hint
            return Cell(self.variant.name, self.case.number, completion, error=error, hint=hint)
        scores = tuple(scorer.score(completion.text, self.case) for scorer in scorers)
        return Cell(self.variant.name, self.case.number, completion, scores)

    def cancel(self) -> None:
        if self._launch:
            self._launch.cancel()


class Evaluation:
    """A bench carried out on a whole dataset, into the store."""

    def __init__(
        self,
        bench: Bench,
        path: Path,
        cases: Sequence[Case],
        pool: Pool,
        sources: Sources,
        store: Store,
        options: Options = Options(),
    ) -> None:
        """path: the bench's file (it need not be saved). Raises ScorerError when its scorers cannot be made."""
        raise NotImplementedError

    @classmethod
    def resume(cls, run: str, pool: Pool, sources: Sources, store: Store, options: Options = Options()) -> Evaluation:
        """An earlier run, to be gone on with: its bench, its cases, its prompts as they were then.

        Raises StoreError for an unknown run, or one that another process is carrying out.
        """
        raise NotImplementedError

    def plan(self) -> Plan:
        """What is about to happen. May read large files the first time (a model's fingerprint)."""
        raise NotImplementedError

    def events(self) -> Iterator[RunEvent]:
        """Carry it out: RunStarted, then cells and progress, RunFinished last. A CellFinished is told when its cell is
        in the store. For one thread; blocks between events. Closing it cancels what runs.

        Raises StoreError when the store cannot take a cell (a full disk): what it took before stays, and the run can
        be resumed.
        """
        raise NotImplementedError

    def pause(self, model: str | None = None) -> None:
        """Start no further cells (of one model, by its name in the plan); those in flight end. From any thread."""
        raise NotImplementedError

    def go_on(self, model: str | None = None) -> None:
        """Undo `pause`. From any thread."""
        raise NotImplementedError

    def cancel(self) -> None:
        """End the run soon: cells in flight are called off, everything finished is kept. From any thread."""
        raise NotImplementedError
