"""Contains: the expected answer stands somewhere in the text.

Knows nothing of patterns (see pattern.py).
"""

from __future__ import annotations

from typing import ClassVar

from workbench.errors import ScorerError
from workbench.evaluation.datasets import Case
from workbench.evaluation.scorers.normalization import fold, is_blank
from workbench.evaluation.scorers.scorer import Judging, Score, Traits, begin, list_references, no_answer, quote


class Contains(Judging, frozen=True, kw_only=True):
    """the expected answer, or the option `text`, stands in the answer; case and spaces aside unless strict

    strict: put nothing aside. text: what to look for instead of the expected answer.
    all_of, any_of: several texts, of which all or at least one must be there.
    """

    traits: ClassVar[Traits] = Traits(binary=True)
    name: str = "contains"
    strict: bool = False
    text: str | None = None
    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.text is not None) + bool(self.all_of) + bool(self.any_of) > 1:
            raise ScorerError("expected only one of text, all_of and any_of")
        if "" in (self.text, *self.all_of, *self.any_of):
            raise ScorerError("a text to look for is empty; every answer contains it")

    def score(self, text: str, case: Case) -> Score:
        own = () if self.text is None else (self.text,)
        references = () if self.all_of or self.any_of or own else list_references(case)
        wanted = self.all_of or self.any_of or own or references
        if not wanted:
            return no_answer(self.name, text, case)
        there = [each for each in wanted if self._stands(each, text)]
        missing = [each for each in wanted if each not in there]
        passed = bool(there) if self.any_of or references else not missing
        told, verb = (there, "Found {}.") if passed else (missing, "{} is not in the answer.")
        explanation = verb.format(", ".join(map(quote, told)))
        return Score(self.name, float(passed), begin(", ".join(there)) if passed else "", explanation)

    def _stands(self, wanted: str, text: str) -> bool:
        if self.strict or is_blank(wanted):  # blanks and invisible characters count where there is nothing else
            return wanted in text
        plain, around = (fold(each, ignore_case=True, ignore_whitespace=True) for each in (wanted, text))
        return plain in around
