"""Search for a better instruction: first by templates, then, where there is a reflector, with gepa.

gepa (Agrawal et al. 2025) keeps a pool of instructions, reflects on one of them after a few train cases, and takes the
new one into the pool when it does better on these. Its own state, which is a pickle, is never written or read: a search
that goes on runs again from the seed, with all answers known from the journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.errors import SearchError
from workbench.search.candidate import Candidate
from workbench.search.feedback import CaseFeedback
from workbench.search.gepa_adapter import PromptAdapter
from workbench.search.racing import order_cases, plan_parts, race
from workbench.search.reflective_proposer import ReflectiveProposer, draw_feedback_cases
from workbench.search.reflector import Reflector
from workbench.search.template_proposer import propose_instructions

if TYPE_CHECKING:
    from workbench.search.method_context import MethodContext

_TEMPLATE_ROUNDS = 3
_TEMPLATES_KEPT = 2
"""that answer the whole dev part in each round"""
_PARTS_BEYOND_FIRST = 4
"""what the race of those that are left takes, in first parts of dev"""
_TEMPLATES_SHARE = 1 / 3
"""of the calls, which the templates may take where a reflector is to follow"""


def search_instructions(search: MethodContext) -> None:
    """Run the search; the winner is the search's best. Raises SearchStopped as the search does, and WorkbenchError."""
    if not search.train:
        raise SearchError(
            "The train part has no cases, so there is nothing to learn instructions from.",
            "Add a split `train`, or leave the division to the search: without a split `test` it divides the cases.",
        )
    proposer = open_proposer(search)
    search_templates(search)
    if proposer:
        _search_with_gepa(search, proposer, search.best())


def open_proposer(search: MethodContext) -> ReflectiveProposer | None:
    """The reflector that the request names; None where it names none. Raises ModelError for one that is not there."""
    name = search.request.reflector
    if not name or not search.train:
        return None
    return ReflectiveProposer(search, Reflector(search, search.prepared.task.sources.find_model(name), name))


def search_templates(search: MethodContext) -> None:
    """Race the templates' proposals, and those for the failures of the new best, as long as they bring something."""
    for _ in range(_TEMPLATE_ROUNDS):
        best = search.best()
        candidates = propose_templates(search, best)
        if not candidates:
            return
        race(search, _select(search, candidates, best), keep=_TEMPLATES_KEPT, leader=best)
        search.end_round()
        if search.best().id == best.id:
            return


def _select(search: MethodContext, candidates: Sequence[Candidate], best: Candidate) -> Sequence[Candidate]:
    """Where a reflector is to follow, which needs calls as well, only those that do better than the best on the first
    part of dev, and only as many as the templates' share has room for."""
    if not search.request.reflector:
        return candidates
    cases = order_cases(search)[: plan_parts(len(search.dev))[0]]
    room = len(candidates)
    if search.allowance is not None:
        each = len(cases) * search.prepared.calls_per_case
        room = max(1, int(_TEMPLATES_SHARE * search.allowance) // each - _PARTS_BEYOND_FIRST)
    chosen = list(candidates[:room])
    for one in candidates[room:]:
        search.drop(one, "the budget has no room for it")
    means = {one.candidate: one.mean or 0.0 for one in search.evaluate([*chosen, best], cases)}
    for one in chosen:
        if means[one.id] <= means[best.id]:
            search.drop(one, f"no better than {best.id} on the first {len(cases)} cases of dev")
    return [one for one in chosen if means[one.id] > means[best.id]]


def propose_templates(search: MethodContext, parent: Candidate) -> list[Candidate]:
    """The templates' proposals that pass the guards."""
    prompt = parent.prompt(search.prepared.task.prompt)
    feedback = gather_feedback(search, parent)
    drafts = propose_instructions(prompt, search.train, search.prepared.task.bench.scorers, feedback)
    proposals = [search.propose(parent, body=one.prompt.body, origin="template", reason=one.reason) for one in drafts]
    return [one.candidate for one in proposals if one.admitted]


def gather_feedback(search: MethodContext, candidate: Candidate) -> list[CaseFeedback]:
    """What a candidate does on some cases of the train part, the same for every candidate."""
    cases = draw_feedback_cases(search)
    if not cases:
        return []
    results = search.evaluate([candidate], [case.number for case in cases], "train")[0].results
    return [CaseFeedback(case, results[case.number]) for case in cases]


def _search_with_gepa(search: MethodContext, proposer: ReflectiveProposer, parent: Candidate) -> None:
    from gepa.api import optimize

    adapter: Any = PromptAdapter(search, proposer, parent)  # gepa's protocols ask for more than it calls
    perfect = search.prepared.best_possible
    optimize(
        seed_candidate=adapter.seed,
        trainset=adapter.trainset,
        valset=adapter.valset,
        adapter=adapter,
        skip_perfect_score=perfect is not None,
        perfect_score=1.0 if perfect is None else perfect,
        reflection_minibatch_size=adapter.minibatch,
        stop_callbacks=[adapter.end_round],
        callbacks=[adapter],
        logger=_SilentLogger(),
        track_best_outputs=False,
        seed=search.request.seed,
        raise_on_exception=True,
    )


class _SilentLogger:
    """What gepa would print; the journal has it all."""

    def log(self, message: str) -> None:
        pass
