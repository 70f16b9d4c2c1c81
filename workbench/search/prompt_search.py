"""PromptSearch: one search from its first candidate to its result.

A method (methods.py) proposes candidates and has them evaluated; guards, journal, budget and stoppers are here. A
search that was killed runs its method again from the start: what the journal holds comes from there, without a call.
"""

from __future__ import annotations

import msgspec

from workbench.datasets.row_digests import write_digests
from workbench.errors import WorkbenchError
from workbench.inference.pool import Pool
from workbench.inference.types import Thinking
from workbench.prompting.prompt import Example
from workbench.search.budget import Spending
from workbench.search.candidate import Candidate
from workbench.search.control import Addition, SearchControl
from workbench.search.evaluator import CandidateEvaluator
from workbench.search.example_worth import leave_each_out
from workbench.search.final_test import conclude_search
from workbench.search.journal import SearchContinued, SearchEnded, SearchEvent, read_journal
from workbench.search.method_context import MethodContext
from workbench.search.methods import find_method
from workbench.search.preparation import Preparation, prepare
from workbench.search.ranking import find_best, rank
from workbench.search.request import SearchRequest
from workbench.search.result import SearchResult
from workbench.search.search_dir import SearchDir, create_search_dir
from workbench.search.search_log import EmitSearchEvent, SearchLog
from workbench.search.search_plan import SearchPlan, make_search_plan
from workbench.search.spent import count_spent
from workbench.search.state import SearchState
from workbench.search.stoppers import SearchStopped
from workbench.search.trials import CandidateChange, SearchTrials
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
        """store: the user's, in which the division of the data and the final test are kept, and whose answers are
        taken. emit: gets the records of the journal, those of an earlier attempt too, and SearchProgress among them.
        search_dir: of an earlier search that is resumed. Raises WorkbenchError for what cannot be searched."""
        self.prepared: Preparation = prepare(request, settings, pool, store)
        self.request = self.prepared.complete(request)
        self.settings = settings
        self.search_dir = search_dir
        self._store = store
        self._log = SearchLog(emit)
        self._evaluator = CandidateEvaluator(self.prepared.task, store)
        self._control = SearchControl()

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

    @property
    def seed(self) -> Candidate:
        """The hand-written prompt."""
        return self.prepared.seed

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
        failure: WorkbenchError | None = None
        try:
            trials = self._make_trials(answers)
            self._begin(self.search_dir, answers, trials)
            if self.state.ended is not None:
                return self.state.ended
            reason = self._search(trials)
            return None if self._control.cancelled else self._conclude(reason, trials)
        except WorkbenchError as error:
            failure = error
            raise
        finally:
            self._close(answers, failure)

    def pause(self) -> None:
        """Start no further answers until `unpause`."""
        self._control.pause()
        self._evaluator.pause()

    def unpause(self) -> None:
        self._control.unpause()
        self._evaluator.unpause()

    def finish(self) -> None:
        """Search no further: the best so far goes to the test."""
        self._control.finish()
        self.unpause()

    def cancel(self) -> None:
        """End it soon, without a result; it can be resumed."""
        self._control.cancel()
        self._evaluator.cancel()

    def add_candidate(
        self,
        parent: str,
        body: str | None = None,
        examples: tuple[Example, ...] | None = None,
        thinking: Thinking | None = None,
        reason: str = "",
    ) -> None:
        """Have a candidate tried that a person made, before the next batch. It passes the same guards."""
        self._control.add(Addition(parent, CandidateChange(body, examples, thinking), reason))

    # --- inside ------------------------------------------------------------------------------------------------------

    def _make_trials(self, answers: Store) -> SearchTrials:
        trials = SearchTrials(
            self.prepared,
            self.request.budget,
            self._log,
            self._evaluator,
            self.prepared.make_guards(),
            answers,
            self._store,
            self.id,
            self._control.find_order,
        )
        trials.kept_for_effects = self.prepared.count_effect_calls(self.request)
        return trials

    def _begin(self, search_dir: SearchDir, answers: Store, trials: SearchTrials) -> None:
        for record in read_journal(search_dir.journal).records:
            self._log.replay(record)
            trials.replay.add(record)
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

    def _search(self, trials: SearchTrials) -> str:
        """Run the method; why it ended."""
        if self.state.openings:
            return "the test was begun"
        context = MethodContext(self.prepared, self.request, self._log, trials, self._control)
        try:
            context.begin_rounds()
            find_method(self.request.method)(context)
            context.try_additions()
            trials.note_best()
            reason = "there was nothing left to try"
        except SearchStopped as stopped:
            reason = stopped.reason
        if not self._control.cancelled and not self._control.finishing:
            trials.kept_for_effects = 0
            leave_each_out(trials, self.state, self.request.seed, self.prepared.calls_per_case, context.dev)
        return reason

    def _conclude(self, reason: str, trials: SearchTrials) -> SearchResult | None:
        winner = self.state.candidates[find_best(self.state, rank(self.state))]
        found = conclude_search(self.prepared, self.state, winner, reason, trials)
        if found is None:
            return None
        self._log.append(SearchEnded(result=msgspec.structs.replace(found, spending=self._log.tick())))
        return self.state.ended

    def _close(self, answers: Store, failure: WorkbenchError | None) -> None:
        """Close all of it, whatever fails on the way; that is added to the error which ended the search, or raised
        where there was none."""
        errors: list[WorkbenchError] = []
        for close in (self._log.note_time, self._log.close, answers.close, self._release):
            try:
                close()
            except WorkbenchError as error:
                errors.append(error)
        if not errors:
            return
        first = failure or errors.pop(0)
        others = dict.fromkeys(error.message for error in errors if error.message != first.message)
        if others:
            first.message += f" On closing the search: {' '.join(others)}"
        if failure is None:
            raise first

    def _release(self) -> None:
        if self.search_dir:
            self.search_dir.release()
