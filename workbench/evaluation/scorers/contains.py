"""Contains: the expected answer stands somewhere in the text.

Knows nothing of patterns (see pattern.py).
"""

from __future__ import annotations

from typing import ClassVar

from workbench.evaluation.datasets import Case
from workbench.evaluation.scorers.normalization import normalize
from workbench.evaluation.scorers.scorer import Judging, Score, Traits, no_answer


class Contains(Judging, frozen=True, kw_only=True):
    """the expected answer, or the option `text`, stands in the answer; case and spaces aside unless strict"""

    traits: ClassVar[Traits] = Traits(binary=True)
    name: str = "contains"
    strict: bool = False
    text: str | None = None

    def score(self, text: str, case: Case) -> Score:
        wanted = case.expected if self.text is None else self.text
        if wanted is None:
            return no_answer(self.name, text)
        found = wanted in text if self.strict else normalize(wanted) in " ".join(normalize(text).split())
        explanation = f"Found {wanted!r}." if found else f"{wanted!r} is not in the answer."
        return Score(self.name, float(found), wanted if found else "", explanation)
