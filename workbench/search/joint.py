"""Joint search over instruction, examples, their order and reasoning, with optuna's tree-structured Parzen estimator.

As in DSPy's MIPROv2 (Opsahl-Ong et al. 2024), but raced: a batch of trials answers the same mini-batches, and what
falls behind is dropped. The study is in memory; a search that goes on draws the same trials again, with their results
known from the journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.search.candidate import Candidate
from workbench.search.example_pool import draw_pool
from workbench.search.instructions import gather_feedback, open_proposer, propose_templates
from workbench.search.joint_space import JointPoint, JointSpace, draw_sets
from workbench.search.racing import order_cases, race

if TYPE_CHECKING:
    import optuna

    from workbench.inference.types import Thinking
    from workbench.search.method_context import MethodContext

_BATCH = 6
"""trials that are evaluated together, so that prompts which begin alike are read once"""
_POOL = 64
"""train rows that sets of examples are drawn from"""
_STARTUP = 12
"""trials drawn at random before the estimator has a say"""
_MOST_TEMPLATES = 6
_REFLECTIONS = 3
_MOST_REPEATS = 30
"""draws in a row that bring nothing new, after which the space counts as exhausted"""


def search_jointly(search: MethodContext) -> None:
    """Run the search; the winner is the search's best. Raises SearchStopped as the search does, and WorkbenchError."""
    space = make_space(search)
    if not space.choices:
        return
    study = _create_study(search.request.seed)
    trials = _Trials(search, space, study, tuple(search.state.candidates.values()))
    while batch := trials.draw(_BATCH):
        race(search, batch, leader=search.best())
        trials.report()
        search.end_round()


def _create_study(seed: int) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP, multivariate=True, constant_liar=True)
    return optuna.create_study(sampler=sampler, direction="maximize")


def make_space(search: MethodContext) -> JointSpace:
    """What there is to choose from: templates and reflections, sets of examples, their order, and thinking."""
    seed = search.seed
    bodies = {seed.body: "its own instruction"}
    for number, one in enumerate(propose_templates(search, seed)[:_MOST_TEMPLATES], 1):
        bodies.setdefault(one.body, f"template {number}")
    if proposer := open_proposer(search):
        feedback = gather_feedback(search, seed)
        for number in range(_REFLECTIONS):
            part = feedback[number::_REFLECTIONS]
            if part and (found := proposer.propose(seed, part)):
                bodies.setdefault(found.body, f"reflection {number + 1}")
    pool = draw_pool(search.prepared, search.request.seed, _POOL)
    sets = draw_sets(seed.examples, pool, search.request.max_examples, search.request.seed)
    return JointSpace(tuple(bodies.items()), sets, _find_thinking(search), search.request.seed)


def _find_thinking(search: MethodContext) -> tuple[Thinking, ...]:
    """The settings of thinking that are worth a trial: the prompt's own, and the other one if the model takes it."""
    own = search.seed.thinking
    other: Thinking = "off" if own == "on" else "on"
    proposal = search.propose(search.seed, thinking=other, origin="trial", reason=f"thinking {other}")
    if not proposal.admitted:
        return (own,)
    first = order_cases(search)[0]
    error = search.evaluate([proposal.candidate], [first])[0].results[first].error
    if error:
        search.drop(proposal.candidate, error)
        return (own,)
    return (own, other)


class _Trials:
    """The trials of a study, each a candidate; what was drawn before is told its value at once."""

    def __init__(
        self, search: MethodContext, space: JointSpace, study: optuna.Study, known: Sequence[Candidate]
    ) -> None:
        """known: candidates that passed the guards already."""
        import optuna

        self._search, self._space, self._study = search, space, study
        make = optuna.distributions.CategoricalDistribution
        self._distributions: dict[str, Any] = {name: make(values) for name, values in space.choices.items()}
        self._candidates: dict[tuple[Any, ...], Candidate | None] = {_identify(one): one for one in known}
        self._tried = {search.seed.id}
        self._waiting: list[tuple[optuna.Trial, Candidate]] = []

    def draw(self, count: int) -> list[Candidate]:
        """New candidates that passed the guards, at most so many; none where the space has no more."""
        found: list[Candidate] = []
        repeats = 0
        while len(found) < count and repeats < _MOST_REPEATS:
            trial = self._study.ask(self._distributions)
            candidate = self._find(self._space.resolve(trial.params))
            repeats += 1
            if candidate is None:
                self._conclude(trial, None)
            elif candidate.id in self._tried:
                self._report(trial, candidate)
            else:
                repeats = 0
                self._tried.add(candidate.id)
                found.append(candidate)
                self._waiting.append((trial, candidate))
        return found

    def report(self) -> None:
        """Report to the study what came of the drawn trials."""
        for trial, candidate in self._waiting:
            self._report(trial, candidate)
        self._waiting.clear()

    def _find(self, point: JointPoint) -> Candidate | None:
        """The candidate of a point; None where the guards refuse it."""
        content = (point.body, tuple(one.id for one in point.examples), point.thinking)
        if content not in self._candidates:
            self._candidates[content] = self._propose(point)
        return self._candidates[content]

    def _propose(self, point: JointPoint) -> Candidate | None:
        proposal = self._search.propose(
            self._search.seed,
            body=point.body,
            examples=point.examples,
            thinking=point.thinking,
            origin="trial",
            reason=f"Trial: {point.label}.",
        )
        if proposal.same_as:
            return self._search.state.candidates[proposal.same_as]
        return proposal.candidate if proposal.admitted else None

    def _report(self, trial: optuna.Trial, candidate: Candidate) -> None:
        self._conclude(trial, measure_gain(self._search, candidate))

    def _conclude(self, trial: optuna.Trial, gain: float | None) -> None:
        """End a trial; without a gain it counts as failed."""
        import optuna

        self._study.tell(trial, gain, state=optuna.trial.TrialState.FAIL if gain is None else None)


def _identify(candidate: Candidate) -> tuple[Any, ...]:
    return (candidate.body, tuple(one.id for one in candidate.examples), candidate.thinking)


def measure_gain(search: MethodContext, candidate: Candidate) -> float | None:
    """The mean difference from the seed over the dev cases that both have a value for, so that a candidate dropped
    after a mini-batch is not judged by how hard that was. None without such a case."""
    values = {
        one.id: {number: result.value for number, result in search.state.results(one.id).items()}
        for one in (search.seed, candidate)
    }
    pairs = [(own, values[search.seed.id].get(number)) for number, own in values[candidate.id].items()]
    gains = [own - seed for own, seed in pairs if own is not None and seed is not None]
    return sum(gains) / len(gains) if gains else None
