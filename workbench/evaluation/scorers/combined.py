"""Combined: several scorers as one value.

Knows nothing of how any of them judges.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from workbench.errors import ScorerError
from workbench.evaluation.datasets import Case
from workbench.evaluation.permissions import Permissions, unite
from workbench.evaluation.scorers.adjustment import Adjusted
from workbench.evaluation.scorers.question import Question
from workbench.evaluation.scorers.scorer import Evidence, Judging, Score, Scorer

How = Literal["mean", "all", "any"]


class Combination(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """several scorers as one: their weighted mean, the worst (`all`) or the best (`any`) of them

    parts: scorers as in the bench; each may have a `weight`. how: `mean`, `all` or `any`.
    """

    parts: tuple[str | dict[str, dict[str, Any]], ...]
    name: str = "combined"
    how: How = "mean"

    def combine(self, scorers: Sequence[Scorer]) -> Combined:
        """The scorer of these parts. Raises ScorerError when they cannot be counted together."""
        if not scorers:
            raise ScorerError("parts: expected at least one scorer, found none")
        endless = [scorer.name for scorer in scorers if scorer.scale == "free"]
        if endless:
            raise ScorerError(f"parts: the values of {', '.join(endless)} have no upper end; give a threshold")
        return Combined(name=self.name, how=self.how, scorers=tuple(scorers))


class Combined(Judging, frozen=True, kw_only=True):
    """Parts that do not apply to a case are left out of it; a part that means better by less is turned round."""

    name: str
    how: How
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

    def score(self, text: str, case: Case) -> Score:
        return self.judge(Evidence(text, case))

    def questions(self, text: str, case: Case) -> tuple[Question, ...]:
        return tuple(question for scorer in self.scorers for question in scorer.questions(text, case))

    def judge(self, evidence: Evidence) -> Score:
        scores = list(self._judge_parts(evidence))
        if broken := [score for score in scores if score.unscored]:  # a mean of the others would be another figure
            worst = max(broken, key=lambda score: score.unscored == "lost")
            told = f"Its part {worst.scorer} gave no score: {worst.explanation}"
            return Score(self.name, 0.0, "", told, applies=False, details=worst.details, unscored=worst.unscored)
        counted = [(scorer, score) for scorer, score in zip(self.scorers, scores, strict=True) if score.applies]
        if not counted:
            reasons = "\n".join(f"{score.scorer}: {score.explanation}" for score in scores)
            return Score(self.name, 0.0, "", f"None of the parts applies.\n{reasons}", applies=False)
        values = [(_rate(scorer, score.value), _weight(scorer)) for scorer, score in counted]
        lines = [f"{score.scorer} {score.value:.4g}: {score.explanation}" for score in scores]
        extracted = next((score.extracted for _, score in counted if score.extracted), "")
        parts = {score.scorer: score.value for _, score in counted}
        explanation = "\n".join([self._describe(len(counted)), *lines])
        return Score(self.name, self._combine(values), extracted, explanation, parts=parts)

    def _judge_parts(self, evidence: Evidence) -> Iterator[Score]:
        """Each part's score; the replies are dealt out in the order of the questions."""
        start = 0
        for scorer in self.scorers:
            count = len(scorer.questions(evidence.text, evidence.case)) if evidence.replies else 0
            own = evidence.replies[start : start + count]
            start += count
            yield scorer.judge(msgspec.structs.replace(evidence, replies=own))

    def _combine(self, values: Sequence[tuple[float, float]]) -> float:
        if self.how != "mean":
            return (min if self.how == "all" else max)(value for value, _ in values)
        return sum(value * weight for value, weight in values) / sum(weight for _, weight in values)

    def _describe(self, count: int) -> str:
        what = {"mean": "The weighted mean", "all": "The worst", "any": "The best"}[self.how]
        left = len(self.scorers) - count
        return f"{what} of {count} scores{f'; {left} do not apply' if left else ''}."


def _rate(scorer: Scorer, value: float) -> float:
    """A part's value from 0 to 1, more is better."""
    unit = value / 100 if scorer.scale == "percent" else value
    return 1 - unit if scorer.lower_is_better else unit


def _weight(scorer: Scorer) -> float:
    return scorer.adjustment.weight if isinstance(scorer, Adjusted) else 1.0
