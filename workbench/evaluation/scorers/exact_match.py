"""Exact match: the whole answer is the expected one.

Knows nothing of parts of an answer (see contains.py and pattern.py).
"""

from __future__ import annotations

from typing import ClassVar

from workbench.evaluation.scorers.normalization import normalize
from workbench.evaluation.scorers.scorer import Comparing, Score, Traits, begin, quote


class ExactMatch(Comparing, frozen=True, kw_only=True):
    """the whole answer equals the expected one; case, spaces and punctuation around it aside unless strict

    strict: forgive nothing.
    """

    traits: ClassVar[Traits] = Traits(binary=True)
    name: str = "exact_match"
    strict: bool = False

    def compare(self, text: str, expected: str) -> Score:
        extracted = text if self.strict else text.strip()
        same = text == expected if self.strict else normalize(text) == normalize(expected)
        explanation = "The same." if same else f"Expected {quote(expected)}, got {quote(extracted)}."
        return Score(self.name, float(same), begin(extracted), explanation)
