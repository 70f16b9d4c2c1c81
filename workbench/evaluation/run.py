"""Run: a bench carried out on a whole dataset, into the store, told as small events.

Knows nothing of terminals. Everything but `pause`, `go_on` and `cancel` happens on the thread that reads the events;
engines and scorers only put messages into one queue.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path
from queue import Empty, SimpleQueue

import msgspec

from workbench.errors import DatasetError, StoreBlockedError, StoreError, WorkbenchError
from workbench.evaluation.answer_cache import count_known
from workbench.evaluation.attempt import Attempt, Said, Tools, digest_cell, render_cell
from workbench.evaluation.bench import Bench, parse_stored_bench
from workbench.evaluation.cell import CellFinished, CellStarted, CellText
from workbench.evaluation.cost import find_price
from workbench.evaluation.datasets import Case
from workbench.evaluation.gauge import Wish, read_progress
from workbench.evaluation.inputs import check_inputs, list_columns
from workbench.evaluation.lane import Column, Job, Lane, make_lanes
from workbench.evaluation.ledger import Ledger
from workbench.evaluation.plan import Plan, make_plan
from workbench.evaluation.progress import RunEvent, RunFinished, RunProgress, RunStarted
from workbench.evaluation.provenance import trace
from workbench.evaluation.record import Wish as RunWish
from workbench.evaluation.replies import ReplyLibrary
from workbench.evaluation.scorers import Ask
from workbench.evaluation.scoring import Scoring
from workbench.evaluation.sources import Sources as Sources
from workbench.hosting.pool import Pool
from workbench.models.reference import Model
from workbench.prompting.budget import Strategy
from workbench.store.origins import add_pace, digest_origin
from workbench.store.store import Store

_MOST_AT_A_TIME = 256
"""finished cells that share a transaction"""

_PROGRESS_SECONDS = 0.25
_RETRY_SECONDS = 1.0


class Options(msgspec.Struct, frozen=True):
    """How a run is carried out; none of it changes what the answers are.

    at_once: cells in flight on one model; 0, where a run is gone on with: as it was begun. cache: take answers that are
    known already. unload: end a model's engine when its cells are done, where the run was what loaded it. retry_failed:
    run failed cells again when resuming. texts: tell the pieces of answers as they come (CellText). name: of the bench,
    where its file has none. note: kept with the run. wait_seconds: how long to wait for a store that takes no cells (a
    full disk, say) before the run ends.
    """

    strategy: Strategy = "refuse"
    at_once: int = 32
    cache: bool = True
    unload: bool = False
    retry_failed: bool = False
    texts: bool = False
    name: str = ""
    note: str = ""
    wait_seconds: float = 3600.0


USUAL = Options()


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
        options: Options = USUAL,
        ledger: Ledger | None = None,
    ) -> None:
        """path: the bench's file (it need not be saved). ledger: of an earlier run that is gone on with.

        Raises ScorerError when its scorers cannot be made, DatasetError when there are no cases.
        """
        if not len(cases):
            raise DatasetError("There are no cases to run.", "Give the bench a dataset, or take another part of it.")
        self._scoring = Scoring(bench.scorers, path.absolute().parent)
        self._bench = bench
        self._cases = cases
        self._pool = pool
        self._sources = Sources(cache(sources.open_prompt), cache(sources.find_model), cache(sources.find_adapters))
        self._store = store
        self._options = options
        wish = RunWish(strategy=options.strategy, cache=options.cache, at_once=options.at_once)
        self._ledger = ledger or Ledger.new(
            store, bench, path, cases, self._scoring.scorers, wish, options.name, options.note
        )
        library = ReplyLibrary(self._sources, store, pool)
        self._tools = Tools(pool, store, self._scoring, options.cache, library, self._ledger.find_unscored)
        self._plan: Plan | None = None
        self._lanes: list[Lane] = []
        self._inbox: SimpleQueue[tuple[Attempt, Said] | None] = SimpleQueue()
        self._running: set[Attempt] = set()
        self._finished: list[Attempt] = []
        self._paused = False
        self._cancelled = False
        self._cancelling = threading.Event()
        self._problem = ""
        self._told = 0.0

    @classmethod
    def resume(cls, run: str, pool: Pool, sources: Sources, store: Store, options: Options = USUAL) -> Evaluation:
        """An earlier run, to be gone on with: its bench, its cases, its prompts and its options as they were then.

        run: as for RunView. options: whatever of them decides which answers there are is the run's own. Raises
        StoreError for an unknown run, one that another process is carrying out, or one whose models have changed.
        """
        ledger = Ledger.open(store, run)
        bench = parse_stored_bench(ledger.run.text, f"the bench of run {ledger.run.id}")
        wish = ledger.wish
        kept = msgspec.structs.replace(
            options,
            strategy=wish.strategy or options.strategy,
            cache=options.cache and wish.cache,
            at_once=options.at_once or wish.at_once or USUAL.at_once,
        )
        return cls(bench, ledger.path, ledger.cases(bench), pool, sources, store, kept, ledger)

    @property
    def run(self) -> str:
        """The run's id; "" until it is in the store."""
        return self._ledger.run.id

    def plan(self) -> Plan:
        """What is about to happen. May read large files the first time (a model's fingerprint)."""
        if self._plan is None:
            columns = [self._trace(place) for place in range(len(self._bench.variants))]
            self._lanes = make_lanes(columns, _key)
            retry = self._options.retry_failed
            self._plan = make_plan(
                self._lanes, self._cases, self._bench, self._ledger, self._store, self._count_known, retry, self._judges
            )
        return self._plan

    @property
    def _judges(self) -> tuple[str, ...]:
        """The models that scorers ask, by what they would ask of an empty answer."""
        asked = self._scoring.questions("", self._cases[0])
        return tuple(dict.fromkeys(question.model for question in asked if isinstance(question, Ask)))

    def events(self) -> Iterator[RunEvent]:
        """Carry it out: RunStarted, then cells and progress, RunFinished last. A CellFinished is told when its cell is
        in the store. For one thread; blocks between events. Closing it cancels what runs.

        While the store takes no cells (a full disk), no further ones are started, and RunProgress says why. Raises
        StoreError when that lasts too long: what the store took before stays, and the run can be resumed.
        """
        plan = self.plan()
        resident = {_key(one.model) for one in self._pool.residents()}
        whole = False
        try:
            columns = [column for lane in self._lanes for column in lane.columns]
            self._ledger.begin(self._cases, columns, plan.warnings)
            for lane in self._lanes:
                done = self._ledger.finished_reader(self._bench.repeats, self._options.retry_failed)
                lane.fill(self._cases, self._bench.repeats, done)
            yield RunStarted(self.run, plan)
            yield from self._carry_out(resident)
            whole = not self._cancelled
        finally:
            self._stop()
            with contextlib.suppress(StoreError):  # the error that ended it says more
                self._ledger.end(whole)
        yield RunFinished(self.run, whole)

    def pause(self, model: str | None = None) -> None:
        """Start no further cells (of one model, by its name in the plan); those in flight end. From any thread."""
        self._turn(model, True)

    def go_on(self, model: str | None = None) -> None:
        """Undo `pause`. From any thread."""
        self._turn(model, False)

    def cancel(self) -> None:
        """End the run soon: cells in flight are called off, everything finished is kept. From any thread."""
        self._cancelled = True
        self._cancelling.set()
        self._inbox.put(None)

    # --- the loop ------------------------------------------------------------------------------------------------

    def _carry_out(self, resident: set[Model]) -> Iterator[RunEvent]:
        while not self._cancelled:
            yield from self._fill()
            if self._finished:
                yield from self._keep()
                yield from self._tell()
                continue
            if not self._running and not any(lane.waiting for lane in self._lanes):
                break
            yield from self._listen()
            yield from self._keep()
            self._unload(resident)
            yield from self._tell()
        yield self._progress()

    def _fill(self) -> Iterator[RunEvent]:
        """Start what may start: one model at a time, unless its cells are paused."""
        if self._paused:
            return
        for lane in self._lanes:
            while lane.waiting and not lane.paused and lane.running < self._options.at_once:
                if len(self._finished) >= _MOST_AT_A_TIME:
                    return
                yield self._start(lane)
            if lane.running or (lane.waiting and not lane.paused):
                return

    def _start(self, lane: Lane) -> CellStarted:
        job = lane.take()
        assert job is not None
        attempt = Attempt(job, lane, self._tools, self._post)
        lane.running += 1
        self._running.add(attempt)
        attempt.start()
        self._settle(attempt)
        return CellStarted(job.column.variant.name, job.case.number, job.repeat)

    def _post(self, attempt: Attempt, said: Said) -> None:
        self._inbox.put((attempt, said))

    def _listen(self) -> Iterator[RunEvent]:
        """Wait for a message, then take all that came, up to a transaction's worth of finished cells."""
        try:
            message = self._inbox.get(timeout=_PROGRESS_SECONDS)
            while True:
                if message:
                    attempt, said = message
                    text = attempt.take(said)
                    if text and self._options.texts:
                        job = attempt.job
                        thinking = bool(getattr(said, "thinking", False))
                        yield CellText(job.column.variant.name, job.case.number, text, thinking, job.repeat)
                    self._settle(attempt)
                if len(self._finished) >= _MOST_AT_A_TIME:
                    return
                message = self._inbox.get_nowait()
        except Empty:
            return

    def _settle(self, attempt: Attempt) -> None:
        if attempt.done and attempt in self._running:
            self._running.discard(attempt)
            attempt.lane.running -= 1
            self._finished.append(attempt)

    def _keep(self) -> Iterator[RunEvent]:
        """Put finished cells into the store, then tell of them."""
        if not self._finished:
            return
        finished, self._finished = self._finished, []
        yield from self._store_cells(finished)
        for attempt in finished:
            assert attempt.cell is not None
            attempt.lane.count(attempt.cell.cached)
            yield CellFinished(attempt.cell)

    def _store_cells(self, finished: Sequence[Attempt]) -> Iterator[RunEvent]:
        """Put cells into the store; where it takes none for now, wait until it does."""
        begun = time.monotonic()
        while True:
            try:
                self._ledger.add(finished)
                break
            except StoreBlockedError as error:
                if self._cancelled or time.monotonic() - begun >= self._options.wait_seconds:
                    raise
                self._problem = error.message
                yield self._progress()
            self._cancelling.wait(_RETRY_SECONDS)
        if self._problem:
            self._problem = ""
            yield self._progress()

    def _tell(self) -> Iterator[RunEvent]:
        now = time.monotonic()
        if now - self._told >= _PROGRESS_SECONDS:
            self._told = now
            yield self._progress()

    def _progress(self) -> RunProgress:
        assert self._plan is not None
        wish = Wish(self._paused, self._cancelled, self._problem)
        return read_progress(self._ledger, self._lanes, self._plan, self._pool, wish)

    def _unload(self, resident: set[Model]) -> None:
        """Free the memory of models that are done with, where the run was what loaded them."""
        if not self._options.unload:
            return
        for lane in self._lanes:
            if lane.model and not lane.waiting and not lane.running and not lane.ended:
                lane.ended = True
                if _key(lane.model) not in resident:
                    self._pool.unload(lane.model)

    def _stop(self) -> None:
        for attempt in self._running:
            attempt.cancel()
        self._running.clear()
        self._scoring.close()
        with contextlib.suppress(StoreError):
            for column, cells, seconds in self._ledger.paces():
                assert column.provenance is not None
                add_pace(
                    self._store,
                    digest_origin(column.provenance.encode()),
                    column.provenance.model.fingerprint,
                    cells,
                    seconds,
                )

    # --- the columns ---------------------------------------------------------------------------------------------

    def _trace(self, place: int) -> Column:
        variant = self._bench.variants[place]
        try:
            kept = self._ledger.origin(place)
            own = kept or trace(variant, self._sources, self._options.strategy, self._store)
            if self._bench.dataset and not kept:
                check_inputs(own.prompt, self._columns, self._bench.dataset)
            price = find_price(self._bench.prices, variant.model, own.base.name)
            return Column(place, variant, own, None, price)
        except StoreError:
            raise
        except WorkbenchError as error:
            return Column(place, variant, None, error)

    @cached_property
    def _columns(self) -> tuple[str, ...]:
        return list_columns(self._cases)

    def _count_known(self, column: Column, cases: Sequence[Case]) -> int:
        """How many of these cases a column has an answer to already."""
        own = column.provenance
        if own is None or not self._options.cache or not self._scoring.needs_answer:
            return 0
        keys = []
        for case in cases:
            with contextlib.suppress(WorkbenchError):  # a cell that cannot be asked tells so when its turn comes
                job = Job(column, case, 0)
                keys.append(digest_cell(own, job, own.draft(case), render_cell(own, job)))
        return count_known(self._store, [one for one in keys if one])

    def _turn(self, model: str | None, paused: bool) -> None:
        if model is None:
            self._paused = paused
        for lane in self._lanes:
            if lane.name == model:
                lane.paused = paused
        self._inbox.put(None)


def _key(model: Model) -> Model:
    """Two names for the same model are one lane."""
    return msgspec.structs.replace(model, name="", path=model.path.absolute(), chat_template_kwargs="")
