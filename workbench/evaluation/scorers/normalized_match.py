"""Normalised match: the whole answer is the expected one, but for what SQuAD's evaluation leaves out.

Knows nothing of answers that are only partly right (see token_f1.py).
"""

from __future__ import annotations

from typing import ClassVar

from workbench.evaluation.scorers.normalization import split_squad_tokens
from workbench.evaluation.scorers.scorer import Comparing, Score, Traits, begin, quote


class NormalizedMatch(Comparing, frozen=True, kw_only=True):
    """the words equal those of the expected answer; case, punctuation, spaces and articles aside, as in SQuAD"""

    traits: ClassVar[Traits] = Traits(binary=True)
    name: str = "normalized_match"

    def compare(self, text: str, expected: str) -> Score:
        found, expected = (" ".join(split_squad_tokens(each)) for each in (text, expected))
        explanation = "The same." if found == expected else f"Expected {quote(expected)}, got {quote(found)}."
        return Score(self.name, float(found == expected), begin(found), explanation)
