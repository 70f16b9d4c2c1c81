"""Rewards of sampled answers: a weighted sum of scorers, a reward model among them, in the scorers' own process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from workbench import paths
from workbench.datasets import Case
from workbench.errors import TrainingError
from workbench.inference.transformers.reward_model import RewardModel
from workbench.inference.types import GenerateRequest
from workbench.models.discovery import find_known_models
from workbench.models.reference import Model, resolve_model
from workbench.prompting.prompt import Prompt
from workbench.runs.bench import load_bench
from workbench.runs.graders import Graders
from workbench.runs.sources import Sources
from workbench.scoring.factory import make_scorers
from workbench.scoring.grader_request import GraderReply, LoglikelihoodCall, RewardCall
from workbench.scoring.scorer import Score, Scorer
from workbench.scoring.scorer_set import ScorerSet
from workbench.scoring.trust import Spec
from workbench.settings import load_settings
from workbench.store.store import Store
from workbench.training.recipe import find_rollouts
from workbench.training.rows import TrainingRow
from workbench.training.task import Task

_PROBED = 16
"""Cases on which a scorer is tried before training."""


class RewardedAnswer(NamedTuple):
    """reward: None where no part of it applies, so that the answer teaches nothing. scores: of every scorer that
    applies, by name; unscored: those that should have given one and did not, each with its reason."""

    reward: float | None
    scores: dict[str, float]
    unscored: dict[str, str]


class Rewards:
    """Scores answers by the reward's scorers and, beside them, by every other one that the recipe has.

    Scorers that a person wrote run in their own confined process. reward_model: gives a further number.
    ask: what inference asks for a row. cases: of the training. Raises ScorerError, and TrainingError for a scorer that
    cannot be a reward.
    """

    def __init__(
        self,
        task: Task,
        reward_model: RewardModel | None,
        ask: Callable[[TrainingRow], GenerateRequest],
        cases: Sequence[Case],
    ) -> None:
        wanted = find_rollouts(task.recipe)
        self.reward_model, self._ask_row = reward_model, ask
        rewarding = wanted.reward or (() if reward_model else task.scorers[:1])
        names = [scorer.name for scorer in make_scorers(rewarding, task.folder)]
        specs, self._notes = _join(rewarding, names, task, cases[:_PROBED])
        self._scorers = ScorerSet(specs, task.folder)
        parts = [*names, *([reward_model.name] if reward_model else [])]
        weights = wanted.reward_weights or (1.0,) * len(parts)
        self._weights = dict(zip(parts, weights, strict=True))
        self._kinds = {scorer.name: scorer for scorer in self._scorers.scorers}
        self._graders: _LocalGraders | None = _LocalGraders(task) if _asks(self._scorers.scorers) else None

    @property
    def notes(self) -> tuple[str, ...]:
        """Which scorers are left out, and why."""
        return self._notes

    def score(self, rows: Sequence[TrainingRow], cases: Sequence[Case], answers: Sequence[str]) -> list[RewardedAnswer]:
        """The reward of each answer to its row and case."""
        replies = self._ask(cases, answers)
        pending = [
            self._scorers.score(text, case, replies=found)
            for text, case, found in zip(answers, cases, replies, strict=True)
        ]
        numbers = self._rate(rows, answers) if self.reward_model else [0.0] * len(answers)
        return [self._sum(one.result(), number) for one, number in zip(pending, numbers, strict=True)]

    def _rate(self, rows: Sequence[TrainingRow], answers: Sequence[str]) -> list[float]:
        assert self.reward_model is not None
        return self.reward_model.score([self._ask_row(row) for row in rows], answers)

    def close(self) -> None:
        self._scorers.close()
        if self._graders:
            self._graders.close()

    def _ask(self, cases: Sequence[Case], answers: Sequence[str]) -> list[tuple[GraderReply, ...]]:
        if self._graders is None:
            return [()] * len(answers)
        requests = [self._scorers.grader_requests(text, case) for text, case in zip(answers, cases, strict=True)]
        return self._graders.ask(requests)

    def _sum(self, scores: Sequence[Score], number: float) -> RewardedAnswer:
        values = {score.scorer: score.value for score in scores if score.applies}
        parts = {
            name: self._as_reward(self._kinds[name], value) for name, value in values.items() if name in self._weights
        }
        if self.reward_model:
            values[self.reward_model.name] = parts[self.reward_model.name] = number
        unscored = {score.scorer: score.explanation for score in scores if score.unscored}
        if not parts or any(name in self._weights for name in unscored):
            return RewardedAnswer(None, values, unscored)
        return RewardedAnswer(sum(self._weights[name] * value for name, value in parts.items()), values, unscored)

    def _as_reward(self, scorer: Scorer, value: float) -> float:
        """A score as a reward: more is better, and percentages are shares."""
        value = value / 100 if scorer.scale == "percent" else value
        return -value if scorer.lower_is_better else value


def _join(
    rewarding: Sequence[Spec], names: Sequence[str], task: Task, cases: Sequence[Case]
) -> tuple[list[Spec], tuple[str, ...]]:
    """The reward's scorers and the recipe's others, as far as an answer alone can be scored by them."""
    specs, notes = list(rewarding), []
    for scorer in make_scorers(rewarding, task.folder):
        if reason := _why_not(scorer, cases):
            raise TrainingError(
                f"{scorer.name} cannot be a reward: {reason}.", "Choose another scorer for rollouts.reward."
            )
    for spec in task.scorers:
        (scorer,) = make_scorers([spec], task.folder)
        if scorer.name in names:
            continue
        if reason := _why_not(scorer, cases, beside=True):
            notes.append(f"{scorer.name} is not scored on sampled answers: {reason}.")
        else:
            specs.append(spec)
    return specs, tuple(notes)


def _why_not(scorer: Scorer, cases: Sequence[Case], beside: bool = False) -> str:
    """Why sampled answers cannot be scored by it; "" where they can. cases: to try it on. beside: it is no part of the
    reward."""
    requests = scorer.grader_requests("x", Case(1, {}, "x"))
    if not scorer.needs_answer or scorer.step:
        return "it does not look at the answer"
    if any(isinstance(request, LoglikelihoodCall) for request in requests):
        return "it asks for likelihoods"
    if any(isinstance(request, RewardCall) for request in requests):
        return "a reward model is named as rollouts.reward_model"
    if requests:
        return "it asks a model each time" if beside else ""
    if scorer.heavy:  # what runs a person's code, or loads a library, is not tried here
        return ""
    tried = [scorer.score(case.expected or "", case) for case in cases]
    return "" if any(score.applies for score in tried) else "it needs more than the text of an answer"


def _asks(scorers: Sequence[Scorer]) -> bool:
    return any(scorer.grader_requests("x", Case(1, {}, "x")) for scorer in scorers)


class _LocalGraders:
    """The judges of a training: models of the bench, or by name or path, each in an engine's own process."""

    def __init__(self, task: Task) -> None:
        from workbench.inference.pool import Pool

        settings = load_settings()
        bench = load_bench(paths.find_input(task.recipe.bench, task.folder)) if task.recipe.bench else None
        known = find_known_models(settings, task.folder)

        def find_model(name: str) -> Model:
            return resolve_model(name, bench.models if bench else {}, task.folder, known, settings.offload)

        self._pool = Pool.configured(settings, low_priority=True)
        self._store = Store(paths.data_folder() / "workbench.sqlite")
        self._runner = asyncio.Runner()
        self._graders = Graders(Sources(_no_prompt, find_model).once(), self._store, self._pool.client, use_cache=True)

    def ask(self, requests: Sequence[Sequence[Any]]) -> list[tuple[GraderReply, ...]]:
        """The replies to the requests on each answer; one that fails says so in its reply."""

        async def ask_all() -> list[tuple[GraderReply, ...]]:
            found = await asyncio.gather(*(self._graders.ask(each, None) for each in requests))
            return [one.replies for one in found]

        return self._runner.run(ask_all())

    def close(self) -> None:
        self._graders.close()
        self._pool.close()
        self._runner.close()
        self._store.close()


def _no_prompt(name: str) -> Prompt:
    raise TrainingError(f"A judge names the prompt {name}, which a training does not open.", "Write it as a file.")


def find_reward_adapter(name: str, folder: Path) -> Any:
    """The adapter of a reward model, by name or path. Raises ModelError."""
    from workbench.models.discovery import default_folders, discover_adapters
    from workbench.models.reference import resolve_adapters
    from workbench.runs.bench import AdapterChoice

    known = discover_adapters(default_folders(load_settings(), folder))
    (applied,) = resolve_adapters((AdapterChoice(name),), folder, known)
    return applied.adapter
