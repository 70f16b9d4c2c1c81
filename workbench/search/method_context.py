"""MethodContext: what a method sees of its search: the data, the candidates so far, and how to try another one.

Guards, journal, budget and stoppers are behind it, so that a method does nothing but propose and compare.
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.datasets import Case
from workbench.inference.types import Thinking
from workbench.prompting.prompt import Example
from workbench.runs.bench import Bench
from workbench.search.budget import Spending
from workbench.search.candidate import Candidate, Origin
from workbench.search.control import SearchControl
from workbench.search.guards import Guards
from workbench.search.journal import CandidateDropped, Reflected, RoundEnded, SearchContinued, SearchPaused
from workbench.search.preparation import Preparation
from workbench.search.ranking import find_best
from workbench.search.replay import Proposal
from workbench.search.request import SearchPart, SearchRequest
from workbench.search.search_log import SearchLog
from workbench.search.state import SearchState
from workbench.search.stoppers import SearchStopped, Stoppers
from workbench.search.trials import CandidateChange, CandidateScores, SearchTrials


class MethodContext:
    """See the module. For the thread that carries the search out."""

    def __init__(
        self,
        prepared: Preparation,
        request: SearchRequest,
        log: SearchLog,
        trials: SearchTrials,
        control: SearchControl,
    ) -> None:
        self.prepared, self.request = prepared, request
        self._log, self._trials, self._control = log, trials, control
        self._stoppers = Stoppers(prepared.best_possible, request.patience)
        self._round_best = ""

    @property
    def state(self) -> SearchState:
        return self._log.state

    @property
    def seed(self) -> Candidate:
        return self.prepared.seed

    @property
    def bench(self) -> Bench:
        return self.prepared.task.bench

    @property
    def train(self) -> Sequence[Case]:
        return self.prepared.splits.train

    @property
    def dev(self) -> Sequence[Case]:
        return self.prepared.splits.dev

    @property
    def guards(self) -> Guards:
        return self._trials.guards

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
        self.check()
        return self._trials.propose(parent, CandidateChange(body, examples, thinking), origin, reason)

    def evaluate(
        self, candidates: Sequence[Candidate], cases: Sequence[int] | None = None, part: SearchPart = "dev"
    ) -> tuple[CandidateScores, ...]:
        """The answers of candidates to cases, by number; to all of the part where none are named.

        What is known costs nothing. Raises SearchStopped before a call beyond the budget.
        """
        self.check()
        self.try_additions()
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

    def begin_rounds(self) -> None:
        """Evaluate the hand-written prompt, which every round has to beat."""
        self.evaluate([self.seed])
        self._round_best = self.seed.id
        self.check()

    def end_round(self) -> None:
        """End a round of the method. Raises SearchStopped where a stopper says so."""
        best = find_best(self.state, self._trials.reached)
        improved = best != self._round_best
        self._round_best = best
        self._stoppers.end_round(improved)
        if self._stoppers.rounds > self.state.rounds:
            self._log.append(RoundEnded(number=self._stoppers.rounds, improved=improved))
        self.check()

    def stop_reason(self) -> str:
        """Why the method has to end, in words; "" while it may go on."""
        if order := self._control.find_order():
            return order
        return self._stoppers.find_reason(self._trials.reached.get(find_best(self.state, self._trials.reached)))

    def check(self) -> None:
        """Wait while it is paused. Raises SearchStopped where the method has to end."""
        if self._control.paused:
            self._log.append(SearchPaused())
            self._log.tick()
            self._control.wait()
            self._log.skip_time()
            self._log.append(SearchContinued())
        if reason := self.stop_reason():
            raise SearchStopped(reason)

    def try_additions(self) -> None:
        """Try what a person added meanwhile, and what an earlier attempt did not finish of it."""
        for one in self._control.additions():
            self._trials.propose(self.state.candidates.get(one.parent, self.seed), one.change, "edited", one.reason)
        edited = [one for one in self.state.candidates.values() if one.origin == "edited"]
        if waiting := [one for one in edited if not self.state.is_whole(one.id)]:
            self._trials.evaluate(waiting, None, "dev")

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
        self.check()
