"""Feedback: a case with what a candidate answered to it and what the scorer said."""

from __future__ import annotations

from typing import NamedTuple

from workbench.datasets import Case
from workbench.search.journal import CaseResult


class CaseFeedback(NamedTuple):
    """One case of the train split and its result."""

    case: Case
    result: CaseResult

    @property
    def failed(self) -> bool:
        """Whether there is something to learn from: an error, no score, or less than the whole."""
        return self.result.value is None or self.result.value < 1.0
