"""PromptSearch: one search from its first candidate to its result.

A method (methods.py) proposes candidates and has them evaluated; guards, journal, budget and stoppers are here. A
search that was killed runs its method again from the start: what the journal holds comes from there, without a call.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from queue import Empty, SimpleQueue

import msgspec

from workbench.datasets import Case
from workbench.datasets.row_digests import write_digests
from workbench.errors import FileError
from workbench.inference.pool import Pool
from workbench.inference.types import Thinking
from workbench.prompting.prompt import Example, Prompt
from workbench.runs.bench import Bench, Variant
from workbench.runs.matrix_rows import Metric
from workbench.runs.sources import Sources
from workbench.search.budget import Spending
from workbench.search.candidate import Candidate, Origin
from workbench.search.evaluator import CandidateEvaluator
from workbench.search.example_worth import leave_each_out
from workbench.search.final_test import conclude_search
from workbench.search.guards import Guards
from workbench.search.journal import (
    CandidateDropped,
    Reflected,
    RoundEnded,
    SearchContinued,
    SearchEnded,
    SearchEvent,
    SearchPaused,
    read_journal,
)
from workbench.search.methods import find_method
from workbench.search.preparation import Preparation, prepare
from workbench.search.ranking import find_best, rank
from workbench.search.replay import Proposal
from workbench.search.request import SearchPart, SearchRequest
from workbench.search.result import SearchResult
from workbench.search.search_dir import SearchDir, create_search_dir
from workbench.search.search_log import EmitSearchEvent, SearchLog
from workbench.search.search_plan import SearchPlan, make_search_plan
from workbench.search.spent import count_spent
from workbench.search.state import SearchState
from workbench.search.stoppers import SearchStopped, Stoppers
from workbench.search.trials import CandidateChange, CandidateScores, SearchTrials
from workbench.settings import Settings
from workbench.store.store import Store


def _ignore(event: SearchEvent) -> None:
    pass


class PromptSearch:
    """See the module. All runs on the thread that calls `run`; `pause`, `unpause`, `finish`, `cancel` and
    `add_candidate` may come from any other."""

    def __init__(
        self,
        request: SearchRequest,
        settings: Settings,
        pool: Pool,
        store: Store,
        emit: EmitSearchEvent = _ignore,
        search_dir: SearchDir | None = None,
    ) -> None:
        """store: the user's, in which the division of the data and the final test are kept. emit: gets the records of
        the journal, those of an earlier attempt too, and SearchProgress among them. search_dir: of an earlier search
        that is resumed. Raises WorkbenchError for what cannot be searched."""
        self.prepared: Preparation = prepare(request, settings, pool, store)
        self.request = self.prepared.complete(request)
        self.settings = settings
        self.search_dir = search_dir
        self._store = store
        self._log = SearchLog(emit)
        self._evaluator = CandidateEvaluator(self.prepared.task)
        self._stoppers = Stoppers(self.prepared.best_possible, request.patience)
        self._round_best = ""
        self._additions: SimpleQueue[tuple[str, CandidateChange, str]] = SimpleQueue()
        self._cancelled = self._finishing = False
        self._unpaused = threading.Event()
        self._unpaused.set()
        self._guards: Guards | None = None
        self._begun: SearchTrials | None = None

    @classmethod
    def reopen(
        cls, search_dir: SearchDir, settings: Settings, pool: Pool, store: Store, emit: EmitSearchEvent = _ignore
    ) -> PromptSearch:
        """An earlier search, to be continued. Raises SearchError."""
        return cls(search_dir.started.request, settings, pool, store, emit, search_dir)

    @property
    def id(self) -> str:
        """Its folder's name; "" before it runs."""
        return self.search_dir.id if self.search_dir else ""

    @property
    def state(self) -> SearchState:
        return self._log.state

    # --- from the outside --------------------------------------------------------------------------------------------

    def plan(self) -> SearchPlan:
        """What it will cost at most. Asks no model."""
        return make_search_plan(self.prepared, self.request, self._evaluator, self._store)

    def run(self) -> SearchResult | None:
        """Carry it out; None where it was cancelled: it can be resumed. Raises WorkbenchError."""
        self.plan().check()
        self.search_dir = self.search_dir or create_search_dir(self.prepared.task.path, self.request.variant)
        self.search_dir.acquire()
        answers = Store(self.search_dir.answers)
        self._begun = SearchTrials(
            self.prepared,
            self.request.budget,
            self._log,
            self._evaluator,
            self.guards,
            answers,
            self._store,
            self.id,
            self._find_order,
        )
        self._begun.kept_for_effects = self.prepared.count_effect_calls(self.request)
        try:
            self._begin(self.search_dir, answers)
            if self.state.ended is not None:
                return self.state.ended
            reason = self._search()
            return None if self._cancelled else self._conclude(reason)
        finally:
            self._close(answers)

    def pause(self) -> None:
        """Start no further answers until `unpause`."""
        self._unpaused.clear()
        self._evaluator.pause()

    def unpause(self) -> None:
        self._unpaused.set()
        self._evaluator.unpause()

    def finish(self) -> None:
        """Search no further: the best so far goes to the test."""
        self._finishing = True
        self.unpause()

    def cancel(self) -> None:
        """End it soon, without a result; it can be resumed."""
        self._cancelled = True
        self._evaluator.cancel()
        self._unpaused.set()

    def add_candidate(
        self,
        parent: str,
        body: str | None = None,
        examples: tuple[Example, ...] | None = None,
        thinking: Thinking | None = None,
        reason: str = "",
    ) -> None:
        """Have a candidate tried that a person made, before the next batch. It passes the same guards."""
        self._additions.put((parent, CandidateChange(body, examples, thinking), reason))

    # --- for methods -------------------------------------------------------------------------------------------------

    @property
    def seed(self) -> Candidate:
        return self.prepared.seed

    @property
    def prompt(self) -> Prompt:
        """The hand-written one."""
        return self.prepared.task.prompt

    @property
    def bench(self) -> Bench:
        return self.prepared.task.bench

    @property
    def variant(self) -> Variant:
        return self.prepared.task.variant

    @property
    def metric(self) -> Metric:
        return self.prepared.task.metric

    @property
    def pool(self) -> Pool:
        return self.prepared.task.pool

    @property
    def sources(self) -> Sources:
        return self.prepared.task.sources

    @property
    def train(self) -> Sequence[Case]:
        return self.prepared.splits.train

    @property
    def dev(self) -> Sequence[Case]:
        return self.prepared.splits.dev

    @property
    def guards(self) -> Guards:
        if self._guards is None:
            self._guards = self.prepared.make_guards()
        return self._guards

    @property
    def calls_left(self) -> int | None:
        """Calls that the search may still make, those of the final test kept back; None: no limit."""
        return self._trials.calls_left

    @property
    def allowance(self) -> int | None:
        """The same by what this attempt has asked for, known from an earlier one or not, so that a method which plans
        by it takes the same turns when it is resumed."""
        return self._trials.allowance

    def propose(
        self,
        parent: Candidate,
        *,
        body: str | None = None,
        examples: tuple[Example, ...] | None = None,
        thinking: Thinking | None = None,
        origin: Origin,
        reason: str = "",
    ) -> Proposal:
        """A new candidate, made of another one by what is given; it costs no call. What the journal holds from an
        earlier attempt comes back as it was then."""
        self._check()
        return self._trials.propose(parent, CandidateChange(body, examples, thinking), origin, reason)

    def evaluate(
        self, candidates: Sequence[Candidate], cases: Sequence[int] | None = None, part: SearchPart = "dev"
    ) -> tuple[CandidateScores, ...]:
        """The answers of candidates to cases, by number; to all of the part where none are named.

        What is known costs nothing. Raises SearchStopped before a call beyond the budget.
        """
        self._check()
        self._try_additions()
        found = self._trials.evaluate(candidates, cases, part)
        self._trials.note_best()
        return found

    def best(self) -> Candidate:
        """The best on dev so far, of those that answered all of it; the seed before any has."""
        return self.state.candidates.get(find_best(self.state, self._trials.reached), self.seed)

    def drop(self, candidate: Candidate, reason: str) -> None:
        """Note that it will not be evaluated further."""
        if candidate.id not in self.state.dropped:
            self._log.append(CandidateDropped(candidate=candidate.id, reason=reason))

    def end_round(self) -> None:
        """End a round of the method. Raises SearchStopped where a stopper says so."""
        best = find_best(self.state, self._trials.reached)
        improved = best != self._round_best
        self._round_best = best
        self._stoppers.end_round(improved)
        if self._stoppers.rounds > self.state.rounds:
            self._log.append(RoundEnded(number=self._stoppers.rounds, improved=improved))
        self._check()

    def stop_reason(self) -> str:
        """Why the method has to end, in words; "" while it may go on."""
        if order := self._find_order():
            return order
        return self._stoppers.find_reason(self._trials.reached.get(find_best(self.state, self._trials.reached)))

    def find_reflection(self, key: str) -> Reflected | None:
        """What a reflector answered in an earlier attempt to the same question; each answer is given once."""
        found = self._trials.replay.find_reflection(key)
        if found is not None:
            self._trials.reflections += 1
            self._stoppers.note_reflection(bool(found.error))
        return found

    def add_reflection(self, reflected: Reflected) -> None:
        """Note an answer of the reflector and what it cost. Raises SearchStopped after three failures in a row."""
        self._log.append(reflected)
        self._trials.reflections += 1
        tokens = reflected.prompt_tokens, reflected.completion_tokens
        self._log.spend(Spending(reflected.calls, 0, *tokens, 0.0, reflected.money, reflected.calls))
        self._stoppers.note_reflection(bool(reflected.error))
        self._check()

    # --- inside ------------------------------------------------------------------------------------------------------

    @property
    def _trials(self) -> SearchTrials:
        assert self._begun is not None, "a search proposes and evaluates while it runs"
        return self._begun

    def _find_order(self) -> str:
        """What a person wants that ends it, in words."""
        return "it was cancelled" if self._cancelled else "it was ended by hand" if self._finishing else ""

    def _begin(self, search_dir: SearchDir, answers: Store) -> None:
        for record in read_journal(search_dir.journal).records:
            self._log.replay(record)
            self._trials.replay.add(record)
        if self.state.ended is not None:
            return
        self._log.open(search_dir.journal)
        if self.state.started is None:
            write_digests(search_dir.folder, self.prepared.make_digests())
            self._log.append(self.prepared.describe_start(self.request))
            return
        self.prepared.check_unchanged(self.state.started)
        self._log.append(SearchContinued())
        self.state.spending = count_spent(self.state, answers, self._store, self.id)
        self._log.spend(Spending())

    def _search(self) -> str:
        """Run the method; why it ended."""
        if self.state.openings:
            return "the test was begun"
        try:
            self.evaluate([self.seed])
            self._round_best = self.seed.id
            self._check()
            find_method(self.request.method)(self)
            self._try_additions()
            self._trials.note_best()
            reason = "there was nothing left to try"
        except SearchStopped as stopped:
            reason = stopped.reason
        if not self._cancelled and not self._finishing:
            self._trials.kept_for_effects = 0
            leave_each_out(self._trials, self.state, self.request.seed, self.bench.repeats, self.dev)
        return reason

    def _check(self) -> None:
        """Wait while it is paused. Raises SearchStopped where the method has to end."""
        if not self._unpaused.is_set():
            self._log.append(SearchPaused())
            self._log.tick()
            self._unpaused.wait()
            self._log.skip_time()
            self._log.append(SearchContinued())
        if reason := self.stop_reason():
            raise SearchStopped(reason)

    def _try_additions(self) -> None:
        """Try what a person added meanwhile, and what an earlier attempt did not finish of it."""
        with contextlib.suppress(Empty):
            while True:
                parent, change, reason = self._additions.get_nowait()
                self._trials.propose(self.state.candidates.get(parent, self.seed), change, "edited", reason)
        edited = [one for one in self.state.candidates.values() if one.origin == "edited"]
        if waiting := [one for one in edited if not self.state.is_whole(one.id)]:
            self._trials.evaluate(waiting, None, "dev")

    def _conclude(self, reason: str) -> SearchResult | None:
        winner = self.state.candidates[find_best(self.state, rank(self.state))]
        found = conclude_search(
            self.prepared, self.state, winner, reason, self._trials.open_test, self._trials.run_test
        )
        if found is None:
            return None
        self._log.append(SearchEnded(result=msgspec.structs.replace(found, spending=self._log.tick())))
        return self.state.ended

    def _close(self, answers: Store) -> None:
        if self._log.is_open:
            with contextlib.suppress(FileError):  # such as a full disk: the error that ended it says more
                self._log.spend(Spending())
        self._log.close()
        answers.close()
        if self.search_dir:
            self.search_dir.release()
