"""Exact match: the whole answer is the expected one.

Knows nothing of parts of an answer (see contains.py and pattern.py).
"""

from __future__ import annotations

from typing import ClassVar

from workbench.errors import ScorerError
from workbench.evaluation.scorers.normalization import fold, normalize, trim
from workbench.evaluation.scorers.scorer import Comparing, Score, Traits, begin, quote

_OPTIONS = ("ignore_case", "ignore_whitespace", "ignore_punctuation")


class ExactMatch(Comparing, frozen=True, kw_only=True):
    """the whole answer equals the expected one, character for character; invisible characters and Unicode forms,
    and white space or full-width punctuation around it, aside

    ignore_case: upper and lower case are the same. ignore_whitespace: any run of blanks and line breaks is one space.
    ignore_punctuation: quotes, emphasis and sentence punctuation around the answer do not count; operators, brackets,
        and a mark that stands alone do.
    strict: nothing at all is put aside.
    """

    traits: ClassVar[Traits] = Traits(binary=True)
    name: str = "exact_match"
    ignore_case: bool = False
    ignore_whitespace: bool = False
    ignore_punctuation: bool = False
    strict: bool = False

    def __post_init__(self) -> None:
        ignored = [option for option in _OPTIONS if getattr(self, option)]
        if self.strict and ignored:
            raise ScorerError(f"strict puts nothing aside; leave out {', '.join(ignored)}, or strict")

    def compare(self, text: str, expected: str) -> Score:
        extracted = text if self.strict else text.strip()
        same = self.label_key(text) == self.label_key(expected)
        explanation = "The same." if same else f"Expected {quote(expected)}, got {quote(extracted)}."
        hint = "" if same or self.strict else _suggest(text, expected)
        return Score(self.name, float(same), begin(extracted), explanation + hint)

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
    for option in _OPTIONS:
        if fold(trim(text), **{option: True}) == fold(trim(expected), **{option: True}):
            return f" With `{option}: true` they are the same."
    return f" With {', '.join(_OPTIONS)} they are the same."
