"""Reward model: the number that an adapter with a head, trained with `objective: reward`, gives the answer."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

from workbench.datasets import Case
from workbench.errors import ScorerError
from workbench.scoring.grader_request import GraderRequest, RewardCall
from workbench.scoring.registry import option, register
from workbench.scoring.scorer import Score, Scorer, ScorerSpec, ScoringInput, truncate

_NEEDS_RUN = "This needs the reward model; `workbench eval` asks it."


@register(
    "reward_model",
    group="judge",
    help="What a reward model (trained with `objective: reward`) gives the answer: any number, more is better",
    example="reward_model: {adapter: my-reward}",
)
class RewardModelScorer(Scorer, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec(scale="free")
    adapter: Annotated[str, option("The reward model: an adapter by its name or path")]
    base: Annotated[
        str, option("The Hugging Face folder that it was trained on, by name or path; empty: as its config names it")
    ] = ""
    name: str = "reward_model"

    def __post_init__(self) -> None:
        if not self.adapter.strip():
            raise ScorerError("adapter is empty; name one that was trained with objective: reward")

    def grader_requests(self, text: str, case: Case) -> tuple[GraderRequest, ...]:
        return (RewardCall(self.adapter, self.base, text),)

    def score_input(self, scoring_input: ScoringInput) -> Score:
        if not scoring_input.replies:
            return Score(self.name, 0.0, "", _NEEDS_RUN, applies=False)
        reply = scoring_input.replies[0]
        if reply.reward is None or not math.isfinite(reply.reward):
            problem = reply.problem or f"{self.adapter} gave {reply.reward}, which is not a finite number."
            return Score(self.name, 0.0, "", problem, applies=False, unscored="error")
        return Score(
            self.name,
            reply.reward,
            truncate(scoring_input.text),
            f"{self.adapter} gives this answer {reply.reward:.4g}. The zero point means nothing: compare answers.",
        )
