"""SearchTrials: candidates proposed under the guards, and evaluated within the budget; all of it written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from workbench.datasets import Case
from workbench.inference.types import Thinking
from workbench.prompting.prompt import Example
from workbench.search.budget import SearchBudget, Spending
from workbench.search.candidate import Candidate, Origin
from workbench.search.evaluator import BatchProgress, CandidateEvaluator
from workbench.search.guards import Guards
from workbench.search.journal import (
    BestChanged,
    CandidateEvaluated,
    CandidateProposed,
    CandidateRefused,
    CaseResult,
    SearchProgress,
    TestOpened,
)
from workbench.search.preparation import Preparation
from workbench.search.ranking import find_best, is_eligible, rank
from workbench.search.replay import Proposal, Replay
from workbench.search.request import SearchPart
from workbench.search.search_log import SearchLog
from workbench.search.spent import note_of
from workbench.search.splits import open_test as note_opening
from workbench.search.state import SearchState
from workbench.search.stoppers import SearchStopped
from workbench.store.store import Store
from workbench.units import format_plural


class CandidateScores(NamedTuple):
    """A candidate's answers to the cases that it was asked, by case number."""

    candidate: str
    part: SearchPart
    results: dict[int, CaseResult]

    @property
    def values(self) -> dict[int, float]:
        """Of the cases that have one; higher is better."""
        return {case: one.value for case, one in self.results.items() if one.value is not None}

    @property
    def mean(self) -> float | None:
        values = self.values.values()
        return sum(values) / len(values) if values else None


class CandidateChange(NamedTuple):
    """What a new candidate has that its parent has not; None: as the parent has it."""

    body: str | None = None
    examples: tuple[Example, ...] | None = None
    thinking: Thinking | None = None


class SearchTrials:
    """budget: what the search may spend. reached: the means on dev of those that were evaluated in this attempt, so
    that a resumed method sees what it saw then. reflections: that this attempt asked for. replay: what an earlier
    attempt was told. kept_for_effects: calls that are kept back until what examples earn is measured."""

    def __init__(
        self,
        prepared: Preparation,
        budget: SearchBudget,
        log: SearchLog,
        evaluator: CandidateEvaluator,
        guards: Guards,
        answers: Store,
        store: Store,
        search: str,
        stop_reason: Callable[[], str],
    ) -> None:
        """answers: the search's own store. store: the user's, for the test. search: its id. stop_reason: why a batch
        has to end, "" while it may go on."""
        self._prepared = prepared
        self.budget = budget
        self._log = log
        self._evaluator = evaluator
        self.guards = guards
        self._answers = answers
        self._store = store
        self._search = search
        self._stop_reason = stop_reason
        self._asked: set[tuple[str, SearchPart, int]] = set()
        self.reflections = 0
        self.reached: dict[str, float] = {}
        self.replay = Replay()
        self.kept_for_effects = 0

    @property
    def state(self) -> SearchState:
        return self._log.state

    @property
    def _kept_calls(self) -> int:
        return self._prepared.test_calls + self.kept_for_effects

    @property
    def calls_left(self) -> int | None:
        """Calls that the search may still make, those of the final test kept back; None: no limit."""
        limit = self.budget.calls
        return None if limit is None else max(0, limit - self._kept_calls - self.state.spending.calls)

    @property
    def allowance(self) -> int | None:
        """The same by what this attempt has asked for, known from an earlier one or not, so that a method which plans
        by it takes the same turns when it is resumed."""
        limit = self.budget.calls
        if limit is None:
            return None
        asked = len(self._asked) * self._prepared.calls_per_case + self.reflections
        return max(0, limit - self._kept_calls - asked)

    @property
    def _kept_for_test(self) -> Spending:
        """What the final test will take beside its calls, by what an answer took so far."""
        spent = self.state.spending
        answers = spent.calls - spent.reflector_calls
        share = self._prepared.test_calls / answers if answers > 0 else 0.0
        return Spending(
            prompt_tokens=round(share * spent.prompt_tokens),
            completion_tokens=round(share * spent.completion_tokens),
            seconds=share * spent.seconds,
            money=share * spent.money,
        )

    def propose(self, parent: Candidate, change: CandidateChange, origin: Origin, reason: str) -> Proposal:
        examples = parent.examples if change.examples is None else change.examples
        candidate = Candidate(
            f"c{len(self.state.candidates) + len(self.state.refused)}",
            parent.id,
            parent.body if change.body is None else change.body,
            examples,
            self._prepared.find_placement(parent.placement, examples),
            parent.thinking if change.thinking is None else change.thinking,
            origin,
            reason,
        )
        if earlier := self.replay.find_proposal(candidate):
            return earlier
        known = {one.digest: one.id for one in self.state.candidates.values()}
        refusals = self.guards.check(candidate, known)
        if not refusals:
            self._log.append(CandidateProposed(candidate=candidate))
            return Proposal(candidate)
        same_as = known.get(candidate.digest, "")
        self._log.append(CandidateRefused(candidate=candidate, refusals=refusals, same_as=same_as))
        return Proposal(candidate, refusals, same_as)

    def evaluate(
        self, candidates: Sequence[Candidate], numbers: Sequence[int] | None, part: SearchPart
    ) -> tuple[CandidateScores, ...]:
        every = {case.number: case for case in self._prepared.splits.cases(part)}
        cases = every if numbers is None else {number: every[number] for number in numbers}
        batches: dict[tuple[int, ...], dict[str, Candidate]] = {}
        for one in candidates:
            known = self.state.results(one.id, part)
            if lacking := tuple(number for number in cases if number not in known):
                batches.setdefault(lacking, {})[one.id] = one
        for lacking, group in batches.items():
            one_by_one = self.budget.money is not None  # what an answer costs is estimated from those before it
            for together in [(one,) for one in group.values()] if one_by_one else [tuple(group.values())]:
                self._run_batch(together, [cases[number] for number in lacking], part)
        found = []
        for one in candidates:
            own = self.state.results(one.id, part)
            self._asked.update((one.id, part, number) for number in cases)
            found.append(CandidateScores(one.id, part, {number: own[number] for number in cases}))
            if part == "dev" and is_eligible(self.state, one.id):
                self.reached[one.id] = self.state.score(one.id) or 0.0
        return tuple(found)

    def _run_batch(self, group: Sequence[Candidate], cases: Sequence[Case], part: SearchPart) -> None:
        budget, before, left, kept = self.budget, self._log.tick(), self.calls_left, self._kept_for_test
        each = self._prepared.calls_per_case
        if reason := budget.find_exhausted(before, kept):
            raise SearchStopped(reason)
        money = None if budget.money is None else budget.money - before.money - kept.money
        doing = f"{format_plural(len(group), 'candidate')} x {format_plural(len(cases), f'{part} case')}"
        result = self._evaluator.run(
            group, cases, self._answers, lambda progress: self._follow(progress, doing, kept), left, money, each
        )
        if result is None:
            raise SearchStopped(
                f"the budget of {budget.calls:,} calls leaves {left:,} for the search, and {doing} need more"
            )
        if result.whole:
            self._note_results(group, part, result.results, result.run)
        self._log.spend(result.spent)
        if not result.whole:
            exhausted = budget.find_exhausted(self.state.spending, kept)
            exhausted = exhausted or "the money budget has no room for one more answer"
            raise SearchStopped(self._stop_reason() or exhausted)

    def _note_results(
        self, group: Sequence[Candidate], part: SearchPart, results: dict[str, tuple[CaseResult, ...]], run: str
    ) -> None:
        for one in group:
            self._log.append(CandidateEvaluated(candidate=one.id, part=part, results=results[one.id], run=run))

    def _follow(self, progress: BatchProgress, doing: str, kept: Spending) -> bool:
        """Report how far a batch is; whether it may go on. kept: for the final test."""
        spent = self._log.tick() + progress.spent
        self._log.emit(SearchProgress(spent, progress.done, progress.total, doing, progress.problem))
        others = msgspec.structs.replace(self.budget, calls=None)  # the calls were counted before
        return not others.find_exhausted(spent, kept) and not self._stop_reason()

    def note_best(self) -> None:
        means = rank(self.state)
        best = find_best(self.state, means)
        if best != self.state.best and best in means:
            self._log.append(BestChanged(candidate=best, score=means[best]))

    def open_test(self, candidate: Candidate) -> None:
        """Note that the test part is opened; once for a search, however often it is resumed."""
        if not self.state.openings:
            count = note_opening(self._store, self._prepared.splits.key, self._search, candidate.id)
            self._log.append(TestOpened(count=count, candidate=candidate.id))

    def run_test(self, pair: Sequence[Candidate]) -> bool:
        """Have both answer the test part; whether they came to the end."""

        def follow(progress: BatchProgress) -> bool:
            self._follow(progress, "the final test", Spending())
            return True

        cases = self._prepared.splits.test
        result = self._evaluator.run(pair, cases, self._store, follow, note=note_of(self._search))
        assert result is not None
        if result.whole:
            self._note_results(pair, "test", result.results, result.run)
        self._log.spend(result.spent)
        return result.whole
