"""Score and Scorer: what a judged answer is, and what every judge of answers can do.

Knows nothing of which scorers there are (see registry.py).
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from workbench.evaluation.dataset import Case


class Score(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One judgement of one answer.

    value: 0 to 1. extracted: the part of the answer that was judged. explanation: one line for a person.
    applies: False when the case gave nothing to judge by; the value is then 0 and belongs in no mean.
    """

    scorer: str
    value: float
    extracted: str
    explanation: str
    applies: bool = True


class Scorer(Protocol):
    """Judges an answer by a case; never raises for any text."""

    @property
    def name(self) -> str: ...

    def score(self, text: str, case: Case) -> Score: ...


def no_answer(scorer: str, text: str) -> Score:
    """The score of a case without an expected answer."""
    return Score(scorer, 0.0, text.strip(), "This case has no expected answer.", applies=False)
