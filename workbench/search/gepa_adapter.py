"""What gepa asks of a search: the scores of an instruction, feedback on it, and a new one.

gepa sees one text, the instruction; everything else of a prompt stays as it is. A proposal goes through the search's
guards before it is evaluated, and what is refused or cannot be read is no proposal for gepa. gepa swallows exceptions
of a proposal, so one is kept and raised where gepa does not.

To save calls, gepa's validation set is the first part of dev alone; the best that it finds there answers the rest every
few rounds, in a race with the search's best, and before the budget ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench.datasets import Case
from workbench.search.candidate import Candidate
from workbench.search.feedback import CaseFeedback
from workbench.search.instruction_text import find_instruction
from workbench.search.racing import order_cases, plan_parts, race
from workbench.search.reflective_proposer import ReflectiveProposer, draw_feedback_cases
from workbench.search.request import SearchPart

if TYPE_CHECKING:
    from gepa.core.adapter import EvaluationBatch

    from workbench.search.method_context import MethodContext

INSTRUCTION = "instruction"
"""the one component of a candidate, as gepa names it"""

_MINIBATCH = 5
"""train cases that a proposal is made from, and that it has to do better on than its parent"""
_MOST_WAITING = 3
"""rounds that the best on the first part of dev waits for the rest of it"""

Texts = dict[str, str]


class PartCase(NamedTuple):
    """A case and the part of the data that it is of."""

    part: SearchPart
    case: Case


class PromptAdapter:
    """gepa's view of a search, and its callbacks."""

    def __init__(self, search: MethodContext, proposer: ReflectiveProposer, parent: Candidate) -> None:
        """parent: the candidate that gepa begins with."""
        self._search = search
        self._proposer = proposer
        self._by_text: dict[str, Candidate] = {}
        self._proposed: Candidate | None = None
        self._failure: Exception | None = None
        self._first = set(order_cases(search)[: plan_parts(len(search.dev))[0]])
        self._leading: Candidate | None = None
        self._waited = self._rounds = 0
        self.trainset = [PartCase("train", case) for case in draw_feedback_cases(search)]
        self.valset = [PartCase("dev", case) for case in search.dev if case.number in self._first]
        self.minibatch = min(_MINIBATCH, len(self.trainset))
        self.seed = self._note(parent)

    def evaluate(
        self, batch: list[PartCase], candidate: Texts, capture_traces: bool = False
    ) -> EvaluationBatch[CaseFeedback, str]:
        """The scores of an instruction on some cases; a failed cell scores 0 and says why in its trace."""
        from gepa.core.adapter import EvaluationBatch

        one = self._by_text[candidate[INSTRUCTION]]
        part: SearchPart = batch[0].part if batch else "dev"
        numbers = list(dict.fromkeys(held.case.number for held in batch))
        results = self._search.evaluate([one], numbers, part)[0].results
        found = [CaseFeedback(held.case, results[held.case.number]) for held in batch]
        return EvaluationBatch(
            outputs=[feedback.result.text for feedback in found],
            scores=[feedback.result.value or 0.0 for feedback in found],
            trajectories=found if capture_traces else None,
        )

    def make_reflective_dataset(
        self, candidate: Texts, eval_batch: EvaluationBatch[CaseFeedback, str], components_to_update: list[str]
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """The cases for the reflector, as they are."""
        return {INSTRUCTION: [{"feedback": one} for one in eval_batch.trajectories or ()]}

    def propose_new_texts(
        self,
        candidate: Texts,
        reflective_dataset: Mapping[str, Sequence[Mapping[str, Any]]],
        components_to_update: list[str],
    ) -> Texts:
        """Another instruction that passed the guards; nothing where there is none. Only SearchStopped leaves it."""
        try:
            feedback = [record["feedback"] for record in reflective_dataset[INSTRUCTION]]
            found = self._proposer.propose(self._by_text[candidate[INSTRUCTION]], feedback)
            self._proposed = found
            return self._note(found) if found else {}
        except Exception as error:  # noqa: BLE001  gepa would only log it, and ask again
            self._failure = error
            return {}

    def on_candidate_rejected(self, event: Mapping[str, Any]) -> None:
        """gepa's callback: a proposal was no better than its parent on the cases that it was made from."""
        if self._proposed is not None:
            shown = f"{event['new_score']:g} against its parent's {event['old_score']:g} on the cases it was made from"
            self._search.drop(self._proposed, shown)
            self._proposed = None

    def on_candidate_accepted(self, event: Mapping[str, Any]) -> None:
        """gepa's callback: it is in the pool, and has answered the first part of dev."""
        best = self._leading or self._search.best()
        if self._proposed is not None and self._average(self._proposed) > self._average(best):
            self._waited = self._waited if self._leading else 0
            self._leading = self._proposed
        self._proposed = None

    def end_round(self, state: object) -> bool:
        """gepa's stop condition, asked before every round: never true, as the search itself says when to stop."""
        if self._failure is not None:
            raise self._failure
        if self._rounds:
            self._waited += 1
            if self._leading is not None and self._is_due():
                leading, self._leading = self._leading, None
                race(self._search, [leading], leader=self._search.best())
            self._search.end_round()
        self._rounds += 1
        return False

    def _is_due(self) -> bool:
        """Whether the best on the first part of dev has to answer the rest now."""
        assert self._leading is not None
        if self._waited >= min(_MOST_WAITING, self._search.request.patience):
            return True
        if self._average(self._leading) == self._search.prepared.best_possible:
            return True
        left = self._search.allowance
        one_round = 2 * self.minibatch + len(self._first)
        rest = len(self._search.dev) - len(self._first)
        return left is not None and left < (one_round + rest) * self._search.prepared.calls_per_case + 1

    def _average(self, candidate: Candidate) -> float:
        """The mean over the first part of dev; cases without a value count as 0, as they do for gepa."""
        results = self._search.state.results(candidate.id)
        return sum(results[number].value or 0.0 for number in self._first if number in results) / len(self._first)

    def _note(self, candidate: Candidate) -> Texts:
        """A candidate as gepa has it."""
        text = find_instruction(candidate.prompt(self._search.prepared.task.prompt)).text
        self._by_text[text] = candidate
        return {INSTRUCTION: text}
