"""Combined: several scorers as one value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from workbench.datasets import Case
from workbench.errors import ScorerError
from workbench.scoring.adjustment import Adjusted
from workbench.scoring.factory import ScorerEntry, make_each
from workbench.scoring.grader_request import GraderRequest
from workbench.scoring.permissions import Permissions, unite
from workbench.scoring.registry import option, register
from workbench.scoring.scorer import Score, Scorer, ScoringInput

CombineMode = Literal["mean", "all", "any"]


@register(
    "combined",
    group="combined",
    help="Several scorers as one: their weighted mean, the worst or the best of them",
    example="combined: {parts: [json_valid, {token_f1: {weight: 3}}], how: mean}",
)
class CombinedConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    parts: Annotated[
        tuple[ScorerEntry, ...],
        option("Scorers, as in the bench; each may have a `weight`"),
    ]
    name: str = "combined"
    how: Annotated[CombineMode, option("`mean` is weighted; `all` takes the worst part, `any` the best")] = "mean"

    def build(self, folder: Path) -> Combined:
        """The scorer of these parts. Raises ScorerError for parts that cannot be made, or not be counted together."""
        scorers, problems = make_each(self.parts, folder)
        if problems:
            raise ScorerError("parts: " + "; ".join(problems))
        if not scorers:
            raise ScorerError("parts: expected at least one scorer, found none")
        endless = [scorer.name for scorer in scorers if scorer.scale == "free"]
        if endless:
            raise ScorerError(f"parts: the values of {', '.join(endless)} have no upper bound; set a threshold")
        return Combined(name=self.name, how=self.how, scorers=tuple(scorers))


class Combined(Scorer, frozen=True, kw_only=True):
    """Parts that do not apply to a case are left out of it; one where lower is better is inverted."""

    name: str
    how: CombineMode
    scorers: tuple[Any, ...]

    @property
    def heavy(self) -> bool:
        return any(scorer.heavy for scorer in self.scorers)

    @property
    def binary(self) -> bool:
        return self.how != "mean" and all(scorer.binary for scorer in self.scorers)

    @property
    def needs_answer(self) -> bool:
        return any(scorer.needs_answer for scorer in self.scorers)

    @property
    def time_limit_seconds(self) -> float:
        return float(sum(scorer.time_limit_seconds for scorer in self.scorers))

    @property
    def permissions(self) -> Permissions:
        return unite(scorer.permissions for scorer in self.scorers)

    @property
    def signature(self) -> str:
        return "; ".join(f"{scorer.name}: {scorer.signature}" for scorer in self.scorers if scorer.signature)

    def grader_requests(self, text: str, case: Case) -> tuple[GraderRequest, ...]:
        return tuple(question for scorer in self.scorers for question in scorer.grader_requests(text, case))

    def score_input(self, scoring_input: ScoringInput) -> Score:
        scores = list(self._judge_parts(scoring_input))
        if broken := [score for score in scores if score.unscored]:  # a mean of the others would be another figure
            worst = max(broken, key=lambda score: score.unscored == "lost")
            message = f"Its part {worst.scorer} gave no score: {worst.explanation}"
            return Score(self.name, 0.0, "", message, applies=False, details=worst.details, unscored=worst.unscored)
        counted = [(scorer, score) for scorer, score in zip(self.scorers, scores, strict=True) if score.applies]
        if not counted:
            reasons = "\n".join(f"{score.scorer}: {score.explanation}" for score in scores)
            return Score(self.name, 0.0, "", f"No part applies.\n{reasons}", applies=False)
        values = [(_to_unit(scorer, score.value), _weight(scorer)) for scorer, score in counted]
        lines = [f"{score.scorer} {score.value:.4g}: {score.explanation}" for score in scores]
        extracted = next((score.extracted for _, score in counted if score.extracted), "")
        parts = {score.scorer: score.value for _, score in counted}
        explanation = "\n".join([self._describe(len(counted)), *lines])
        return Score(self.name, self._combine(values), extracted, explanation, parts=parts)

    def _judge_parts(self, scoring_input: ScoringInput) -> Iterator[Score]:
        """Each part's score; the replies are dealt out in the order of the questions."""
        start = 0
        for scorer in self.scorers:
            count = len(scorer.grader_requests(scoring_input.text, scoring_input.case)) if scoring_input.replies else 0
            own = scoring_input.replies[start : start + count]
            start += count
            yield scorer.score_input(msgspec.structs.replace(scoring_input, replies=own))

    def _combine(self, values: Sequence[tuple[float, float]]) -> float:
        if self.how != "mean":
            return (min if self.how == "all" else max)(value for value, _ in values)
        return sum(value * weight for value, weight in values) / sum(weight for _, weight in values)

    def _describe(self, count: int) -> str:
        what = {"mean": "The weighted mean", "all": "The worst", "any": "The best"}[self.how]
        left = len(self.scorers) - count
        return f"{what} of {count} scores{f'; {left} do not apply' if left else ''}."


def _to_unit(scorer: Scorer, value: float) -> float:
    """A part's value from 0 to 1, more is better."""
    unit = value / 100 if scorer.scale == "percent" else value
    return 1 - unit if scorer.lower_is_better else unit


def _weight(scorer: Scorer) -> float:
    return scorer.adjustment.weight if isinstance(scorer, Adjusted) else 1.0
