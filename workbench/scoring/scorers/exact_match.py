"""Exact match: the whole answer is the expected one."""

from __future__ import annotations

from typing import Annotated, ClassVar

from workbench.errors import ScorerError
from workbench.scoring.registry import option, register
from workbench.scoring.scorer import ReferenceScorer, Score, ScorerSpec, quote, truncate
from workbench.scoring.text.normalization import fold, normalize, trim

_OPTIONS = ("ignore_case", "ignore_whitespace", "ignore_punctuation")


@register(
    "exact_match",
    group="match",
    help="1 if the whole answer equals the expected one",
    notes="Unicode form, invisible characters, and whitespace or full-width punctuation around the answer are ignored.",
    example="exact_match: {extract: {after: 'Answer:'}, ignore_case: true, ignore_punctuation: true}",
)
class ExactMatch(ReferenceScorer, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec(binary=True)
    name: str = "exact_match"
    ignore_case: Annotated[bool, option("Ignore the case of letters")] = False
    ignore_whitespace: Annotated[bool, option("Treat any run of spaces and line breaks as one space")] = False
    ignore_punctuation: Annotated[
        bool,
        option("Ignore quotes, emphasis and sentence punctuation around the answer; brackets and operators count"),
    ] = False
    strict: Annotated[bool, option("Compare byte for byte, ignoring nothing")] = False

    def __post_init__(self) -> None:
        ignored = [option for option in _OPTIONS if getattr(self, option)]
        if self.strict and ignored:
            raise ScorerError(f"strict ignores nothing; leave out {', '.join(ignored)}, or strict")

    def compare(self, text: str, expected: str) -> Score:
        extracted = text if self.strict else text.strip()
        same = self.label_key(text) == self.label_key(expected)
        explanation = "The same." if same else f"Expected {quote(expected)}, got {quote(extracted)}."
        hint = "" if same or self.strict else _suggest(text, expected)
        return Score(self.name, float(same), truncate(extracted), explanation + hint)

    def label_key(self, text: str) -> str:
        if self.strict:
            return text
        return fold(
            trim(text),
            ignore_case=self.ignore_case,
            ignore_whitespace=self.ignore_whitespace,
            ignore_punctuation=self.ignore_punctuation,
        )


def _suggest(text: str, expected: str) -> str:
    """What to write where a person may have meant the two to be the same."""
    if normalize(text) != normalize(expected):
        return ""
    for name in _OPTIONS:
        if fold(trim(text), **{name: True}) == fold(trim(expected), **{name: True}):
            return f" With `{name}: true` they are equal."
    return f" With {', '.join(_OPTIONS)} they are equal."
