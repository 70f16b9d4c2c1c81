"""Edit distance: how many characters have to change to make the answer the expected one (rapidfuzz).

Knows nothing of words.
"""

from __future__ import annotations

from typing import ClassVar

from workbench.evaluation.scorers.normalization import clean
from workbench.evaluation.scorers.scorer import Comparing, Score, Traits, begin, quote


class EditDistance(Comparing, frozen=True, kw_only=True):
    """characters to insert, delete or replace until the answer is the expected one (Levenshtein); fewer is better"""

    traits: ClassVar[Traits] = Traits(scale="free", lower_is_better=True)
    name: str = "edit_distance"

    def compare(self, text: str, expected: str) -> Score:
        found, expected = clean(text).strip(), clean(expected).strip()
        edits = _count(found, expected)
        return Score(self.name, float(edits), begin(found), f"{edits} edits to {quote(expected)}.")


class EditSimilarity(Comparing, frozen=True, kw_only=True):
    """1 less the edit distance over the longer text's length: 1 is the same text, 0 nothing in common"""

    name: str = "edit_similarity"

    def compare(self, text: str, expected: str) -> Score:
        found, expected = clean(text).strip(), clean(expected).strip()
        edits, longest = _count(found, expected), max(len(found), len(expected))
        explanation = f"{edits} edits to {quote(expected)}, over {longest} characters."
        return Score(self.name, 1 - edits / longest if longest else 1.0, begin(found), explanation)


def _count(found: str, expected: str) -> int:
    from rapidfuzz.distance import Levenshtein

    return int(Levenshtein.distance(found, expected))
