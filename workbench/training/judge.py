"""Judge: answers to validation cases, scored by the bench's own scorers.

Knows nothing of how answers come about. A scorer that has to ask a model, or runs a person's code, is left out with a
sentence: during training nothing but the answer's text is judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from workbench.evaluation.datasets import Case
from workbench.evaluation.scorers import Scorer, make_scorers
from workbench.training.recipe import Spec


class Verdict(NamedTuple):
    """scores: mean of each scorer. single: the first scorer's value of each answer; None where it does not apply."""

    scores: dict[str, float]
    single: tuple[float | None, ...]


class Judge:
    """The scorers that can be used. notes: why others cannot. Raises ScorerError for a scorer that does not exist."""

    def __init__(self, specs: Sequence[Spec], folder: Path) -> None:
        every = make_scorers(specs, folder)
        self._scorers = tuple(scorer for scorer in every if _is_usable(scorer))
        left_out = [scorer.name for scorer in every if scorer not in self._scorers]
        self.notes: tuple[str, ...] = (
            (f"Not scored while training: {', '.join(left_out)}; the answer's text alone does not do for them.",)
            if left_out
            else ()
        )

    @property
    def metric(self) -> str:
        """The scorer that decides which state is best; "" where none is left."""
        return self._scorers[0].name if self._scorers else ""

    @property
    def lower_is_better(self) -> bool:
        return bool(self._scorers) and self._scorers[0].lower_is_better

    @property
    def free(self) -> tuple[str, ...]:
        """The scorers whose values are no shares of 1."""
        return tuple(scorer.name for scorer in self._scorers if scorer.scale != "unit")

    def judge(self, answers: Sequence[str], cases: Sequence[Case]) -> Verdict:
        """Score the answers to the cases."""
        scores: dict[str, float] = {}
        single: tuple[float | None, ...] = (None,) * len(answers)
        for position, scorer in enumerate(self._scorers):
            found = [scorer.score(text, case) for text, case in zip(answers, cases, strict=True)]
            values = [score.value for score in found if score.applies]
            if values:
                scores[scorer.name] = sum(values) / len(values)
            if position == 0:
                single = tuple(score.value if score.applies else None for score in found)
        return Verdict(scores, single)


def _is_usable(scorer: Scorer) -> bool:
    """Whether it judges by the text alone, at once."""
    probe = Case(1, {}, "x")
    return not scorer.heavy and scorer.needs_answer and not scorer.questions("x", probe)
