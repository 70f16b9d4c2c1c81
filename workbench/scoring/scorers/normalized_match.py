"""Normalized match: the whole answer is the expected one after SQuAD's normalization."""

from __future__ import annotations

from typing import ClassVar

from workbench.scoring.registry import register
from workbench.scoring.scorer import ReferenceScorer, Score, ScorerSpec, quote, truncate
from workbench.scoring.text.words import split_squad_tokens


@register(
    "normalized_match",
    group="match",
    help=(
        "1 if the words equal those of the expected answer, normalized as in SQuAD: case, punctuation, spaces and"
        " English articles are ignored"
    ),
    notes="Numbers keep their sign and decimal point; signs and a lone article count where there is nothing else.",
    example="normalized_match",
)
class NormalizedMatch(ReferenceScorer, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec(binary=True)
    name: str = "normalized_match"

    def compare(self, text: str, expected: str) -> Score:
        found, wanted = self.label_key(text), self.label_key(expected)
        explanation = "The same." if found == wanted else f"Expected {quote(wanted)}, got {quote(found)}."
        return Score(self.name, float(found == wanted), truncate(found), explanation)

    def label_key(self, text: str) -> str:
        return " ".join(split_squad_tokens(text))
