"""Edit distance in characters between the answer and the expected one, by rapidfuzz."""

from __future__ import annotations

from typing import Annotated, ClassVar

from workbench.scoring.registry import option, register
from workbench.scoring.scorer import ReferenceScorer, Score, ScorerSpec, quote, truncate
from workbench.scoring.text.normalization import clean


@register(
    "edit_distance",
    group="overlap",
    help="Levenshtein distance to the expected answer in characters; lower is better",
    example="edit_distance: {threshold: 3}",
)
class EditDistance(ReferenceScorer, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec(scale="free", lower_is_better=True)
    name: str = "edit_distance"
    strict: Annotated[bool, option("Count every character, also whitespace around the texts")] = False

    def compare(self, text: str, expected: str) -> Score:
        found, expected = (text, expected) if self.strict else (clean(text).strip(), clean(expected).strip())
        edits = _count(found, expected)
        return Score(self.name, float(edits), truncate(found), f"{edits} edits to {quote(expected)}.")


@register(
    "edit_similarity",
    group="overlap",
    help="1 minus the edit distance over the length of the longer text: 1 is identical, 0 has nothing in common",
    example="edit_similarity",
)
class EditSimilarity(ReferenceScorer, frozen=True, kw_only=True):
    name: str = "edit_similarity"

    def compare(self, text: str, expected: str) -> Score:
        found, expected = clean(text).strip(), clean(expected).strip()
        edits, longest = _count(found, expected), max(len(found), len(expected))
        explanation = f"{edits} edits to {quote(expected)}, over {longest} characters."
        return Score(self.name, 1 - edits / longest if longest else 1.0, truncate(found), explanation)


def _count(found: str, expected: str) -> int:
    from rapidfuzz.distance import Levenshtein

    return int(Levenshtein.distance(found, expected))
