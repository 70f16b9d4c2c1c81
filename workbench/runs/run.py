"""A bench carried out on a whole dataset, into the store, told as small events.

A run is a task group on an event loop of its own: one coroutine a cell (cell_task.py), under a semaphore for each
model, and one that stores finished cells in batches. The loop runs on the thread that reads the events, so that a slow
reader slows the run down instead of filling the memory, and the store sees one thread.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from functools import cache
from operator import attrgetter
from pathlib import Path

import msgspec

from workbench.datasets import Case
from workbench.errors import BenchError, DatasetError, StoreError
from workbench.inference.pool import Pool
from workbench.models.reference import Model
from workbench.runs.bench import Bench, parse_stored_bench
from workbench.runs.cache import CachedAnswers
from workbench.runs.cell_answer import CellServices
from workbench.runs.dispatcher import CellDispatcher
from workbench.runs.finished_cells import FinishedCells
from workbench.runs.graders import Graders
from workbench.runs.passage_finder import PassageFinder
from workbench.runs.plan import Plan, make_plan
from workbench.runs.progress import RunControl, RunEvent, RunFinished, RunProgress, RunStarted, read_progress
from workbench.runs.provenance import Provenance
from workbench.runs.retrieval_warnings import find_retrieval_warnings
from workbench.runs.run_loop import RunLoop
from workbench.runs.run_options import DEFAULT_OPTIONS as DEFAULT_OPTIONS
from workbench.runs.run_options import RunOptions as RunOptions
from workbench.runs.serialisation import RunConfig
from workbench.runs.server_proofs import ServerProofs
from workbench.runs.shard import divide, parse_shard
from workbench.runs.sources import Sources as Sources
from workbench.runs.spending import SpendingLimit
from workbench.runs.tool_file import open_tools, refuse_call
from workbench.runs.variant_planner import VariantPlanner
from workbench.runs.work_queue import WorkQueue, group_by_machine, make_queues
from workbench.runs.writer import RunWriter
from workbench.scoring.grader_request import ModelCall
from workbench.scoring.scorer_set import ScorerSet
from workbench.store.provenance import add_duration, digest_provenance
from workbench.store.store import Store


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
        options: RunOptions = DEFAULT_OPTIONS,
        writer: RunWriter | None = None,
        finder: PassageFinder | None = None,
        others: Sequence[Store] = (),
    ) -> None:
        """path: the bench's file (it need not be saved). writer: of an earlier run that is resumed. finder: what
        retrieves passages, where there is one already. others: stores whose answers are taken too.

        Raises ScorerError when its scorers or tools cannot be used, DatasetError when there are no cases,
        BenchError when there are more shards than cells.
        """
        if not len(cases):
            raise DatasetError("There are no cases to run.", "Give the bench a dataset, or select another part of it.")
        self._scorers = ScorerSet(bench.scorers, path.absolute().parent)
        self._tools = open_tools(bench.tools, path.absolute().parent)
        self._bench = bench
        self._cases = cases
        self._pool = pool
        self._sources = sources.once()
        self._finder = finder or PassageFinder()
        self._store, self._others = store, tuple(others)
        self._options = options
        self._spans = divide(bench.variants, len(cases), options.shard)
        config = RunConfig(
            strategy=options.strategy,
            cache=options.cache,
            concurrency=options.concurrency,
            shard=str(options.shard or ""),
        )
        self._writer = writer or RunWriter.new(
            store,
            bench,
            path,
            cases,
            self._scorers.scorers,
            config,
            options.name,
            options.note,
            total=sum(map(len, self._spans)) * bench.repeats,
        )
        self._variants = VariantPlanner(
            bench,
            cases,
            self._spans,
            self._sources,
            store,
            options.strategy,
            self._writer.origin,
            cache=options.cache and self._scorers.needs_answer,
            finder=self._finder,
            folder=path.parent,
            others=self._others,
        )
        self._plan: Plan | None = None
        self._queues: list[WorkQueue] = []
        self._loop = RunLoop()
        self._spending = SpendingLimit(options.max_cost)
        self._finished = FinishedCells(self._writer, self._loop, self._progress, options.wait_seconds)
        self._loaded: set[Model] = set()
        self._dispatcher = CellDispatcher(self._loop, self._finished, self._spending, self._unload)

    @classmethod
    def resume(
        cls,
        run: str,
        pool: Pool,
        sources: Sources,
        store: Store,
        options: RunOptions = DEFAULT_OPTIONS,
        finder: PassageFinder | None = None,
    ) -> Evaluation:
        """An earlier run, to be finished: its bench, its cases, its prompts and its options as they were then.

        run: as for RunView. options: whatever of them decides which answers there are is the run's own. Raises
        StoreError for an unknown run, one that another process is carrying out, or one whose models have changed.
        """
        writer = RunWriter.open(store, run)
        bench = parse_stored_bench(writer.run.text, f"the bench of run {writer.run.id}")
        config = writer.config
        kept = msgspec.structs.replace(
            options,
            strategy=config.strategy or options.strategy,
            cache=options.cache and config.cache,
            concurrency=options.concurrency or config.concurrency or DEFAULT_OPTIONS.concurrency,
            shard=parse_shard(config.shard) if config.shard else None,
        )
        return cls(bench, writer.path, writer.cases(bench), pool, sources, store, kept, writer, finder)

    @property
    def run(self) -> str:
        """The run's id; "" until it is in the store."""
        return self._writer.run.id

    def plan(self) -> Plan:
        """What is about to happen. May read large files the first time (a model's fingerprint)."""
        if self._plan is None:
            variants = [self._variants.trace(index) for index, span in enumerate(self._spans) if span]
            self._queues = make_queues(variants, attrgetter("identity"))
            retry = self._options.retry_failed
            plan = make_plan(
                self._queues,
                self._cases,
                self._spans,
                self._bench,
                self._writer,
                self._store,
                self._variants.count_cached,
                retry,
                self._judges,
                self._variants.fill,
                self._pool.find_devices,
            )
            planned = [one.provenance for queue in self._queues for one in queue.variants if one.provenance]
            warnings = (*plan.warnings, *find_retrieval_warnings(planned, self._cases, self._finder))
            self._plan = msgspec.structs.replace(plan, shard=str(self._options.shard or ""), warnings=warnings)
            self._check_prices()
        return self._plan

    @property
    def provenances(self) -> tuple[Provenance, ...]:
        """What the answers that are left to make will come from, of the variants of which that is known."""
        self.plan()
        planned = (one for queue in self._queues for one in queue.variants)
        return tuple(one.provenance for one in planned if one.provenance)

    @property
    def _judges(self) -> tuple[str, ...]:
        """The models that scorers call, by what they would ask of an empty answer."""
        asked = self._scorers.grader_requests("", self._cases[0])
        return tuple(dict.fromkeys(request.model for request in asked if isinstance(request, ModelCall)))

    def events(self) -> Iterator[RunEvent]:
        """Carry it out: RunStarted, then cells and progress, RunFinished last. A CellFinished comes when its cell is
        in the store. For one thread; blocks between events. Closing it cancels what runs.

        While the store takes no cells (a full disk), no further ones are started, and RunProgress says why. Raises
        StoreError when that lasts too long: what the store took before stays, and the run can be resumed.
        """
        plan = self.plan()
        self._loaded = {one.model.identity for one in self._pool.loaded_models()}
        whole = False
        try:
            variants = [planned for queue in self._queues for planned in queue.variants]
            self._writer.begin(self._cases, variants, plan.warnings)
            for queue in self._queues:
                finished = self._writer.finished_reader(self._bench.repeats, self._options.retry_failed)
                side_by_side = queue.addresses if queue.model and queue.model.remote else self._pool.width
                concurrency = self._options.concurrency * side_by_side
                queue.fill(self._variants.select_cases, self._bench.repeats, finished, concurrency)
            yield RunStarted(self.run, plan)
            yield from self._loop.follow(self._run_all(), self._progress)
            whole = not self._loop.cancelled and not self._spending.reached
        finally:
            self.close()
            with contextlib.suppress(StoreError):  # the error that ended it says more
                self._keep_durations()
                self._writer.end(whole)
        yield RunFinished(self.run, whole, self._spending.spent, self._spending.reached)

    def close(self) -> None:
        """End the processes that run a user's functions, also of a run that was planned and never carried out."""
        self._scorers.close()
        if self._tools:
            self._tools.close()

    def unfinished(self) -> dict[str, int]:
        """How many cells each variant still lacks."""
        repeats, retry = self._bench.repeats, self._options.retry_failed
        return {
            one.variant.name: len(self._variants.select_cases(one)) * repeats - self._writer.count_finished(one, retry)
            for queue in self._queues
            for one in queue.variants
        }

    def pause(self, model: str | None = None) -> None:
        """Start no further cells (of one model, by its name in the plan); those in flight end. From any thread."""
        self._set_paused(model, True)

    def unpause(self, model: str | None = None) -> None:
        """Undo `pause`. From any thread."""
        self._set_paused(model, False)

    def cancel(self) -> None:
        """End the run soon: cells in flight are cancelled, everything finished is kept. From any thread."""
        self._finder.cancel()
        self._loop.cancel()

    async def _run_all(self) -> None:
        client = cache(self._pool.client)  # one for each model: its requests wake the loop together
        proofs = ServerProofs(self._pool, self._writer)
        find_price = self._variants.find_price
        graders = Graders(
            self._sources, self._store, client, self._options.cache, find_price, proofs.prove_judge, self._others
        )
        on_text = self._loop.emit if self._options.texts else None
        answers = CachedAnswers(self._store, *self._others) if self._options.cache else None
        services = CellServices(
            client,
            self._scorers,
            graders,
            answers,
            self._writer.find_unscored,
            proofs.prove,
            self._finder,
            on_text,
            find_price,
            self._tools.answer if self._tools else refuse_call,
        )
        with contextlib.closing(graders):
            async with asyncio.TaskGroup() as group:
                group.create_task(self._finished.store())
                async with asyncio.TaskGroup() as machines:
                    for queues in group_by_machine(self._queues):
                        machines.create_task(self._dispatcher.run_queues(queues, services))
                await self._finished.put(None)

    def _progress(self) -> RunProgress:
        assert self._plan is not None
        problem = self._finished.problem or self._pool.problem
        control = RunControl(self._dispatcher.paused, self._loop.cancelled, problem, self._spending.spent)
        return read_progress(self._writer, self._queues, self._plan, self._pool, control)

    def _unload(self, queue: WorkQueue) -> None:
        """Free the memory of a model that is done with, where the run was what loaded it."""
        if self._options.unload and queue.model and not queue.waiting and queue.model.identity not in self._loaded:
            self._pool.unload(queue.model)

    def _set_paused(self, model: str | None, paused: bool) -> None:
        if model is None:
            self._dispatcher.paused = paused
        for queue in self._queues:
            if queue.name == model:
                queue.paused = paused
        self._dispatcher.note_changed()

    def _keep_durations(self) -> None:
        for planned, cells, seconds in self._writer.durations():
            assert planned.provenance is not None
            origin, model = planned.provenance.encode(), planned.provenance.model.fingerprint
            add_duration(self._store, digest_provenance(origin), model, cells, seconds)

    def _check_prices(self) -> None:
        """Raise BenchError where a limit is set and a model's price is not known."""
        assert self._plan is not None
        unknown = [one.model for one in self._plan.models if one.price == "unknown"]
        if self._options.max_cost is not None and unknown:
            raise BenchError(
                f"--max-cost needs prices, and none is known for {', '.join(unknown)}.",
                "Add them to the bench: prices: {MODEL: {input: 0.50, output: 1.50}}, for a million tokens.",
            )
