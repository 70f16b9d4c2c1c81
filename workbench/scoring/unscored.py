"""Scores that are missing although a scorer should have given them: counted, and reported in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from workbench.scoring.scorer import Score

MOST_UNSCORED = 0.05
"""Share of a scorer's answers on which it may fail before a command fails; none may be lost."""

_LONGEST_REASON = 200


class ScorerOutcome(NamedTuple):
    """How one scorer fared. scores: of how many answers; applied: to how many; error, lost: as in `Score.unscored`."""

    scorer: str
    scores: int
    applied: int
    error: int
    lost: int
    reason: str = ""

    @property
    def fails(self) -> bool:
        """Whether what it says of the answers is not to be relied on."""
        return bool(self.lost) or self.error > MOST_UNSCORED * self.scores

    @property
    def idle(self) -> bool:
        """Whether there was nothing at all that it could judge, such as no expected answers."""
        return self.scores > 0 and not (self.applied or self.error or self.lost)

    @property
    def is_reported(self) -> bool:
        return self.idle or self.error + self.lost > 0


def count_outcomes(scores: Iterable[Score]) -> tuple[ScorerOutcome, ...]:
    """By scorer, in the order in which they come."""
    found: dict[str, ScorerOutcome] = {}
    for score in scores:
        old = found.get(score.scorer, ScorerOutcome(score.scorer, 0, 0, 0, 0))
        telling = not score.applies and (not old.reason or (score.unscored == "lost" and not old.lost))
        found[score.scorer] = ScorerOutcome(
            score.scorer,
            old.scores + 1,
            old.applied + score.applies,
            old.error + (score.unscored == "error"),
            old.lost + (score.unscored == "lost"),
            score.explanation if telling else old.reason,
        )
    return tuple(found.values())


def describe_outcome(outcome: ScorerOutcome) -> str:
    """One sentence with the reason of one such answer."""
    missing = outcome.error + outcome.lost
    reason = " ".join(outcome.reason.split())
    reason = reason if len(reason) <= _LONGEST_REASON else f"{reason[: _LONGEST_REASON - 1]}…"
    if not missing:
        return f"{outcome.scorer} applies to none of the {outcome.scores:,} answers: {reason}"
    return f"{outcome.scorer} did not score {missing:,} of {outcome.scores:,} answers: {reason}"
