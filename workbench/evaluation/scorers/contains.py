"""Contains: the expected answer stands somewhere in the text.

Knows nothing of patterns (see pattern.py).
"""

from __future__ import annotations

from typing import ClassVar

from workbench.errors import ScorerError
from workbench.evaluation.datasets import Case
from workbench.evaluation.scorers.normalization import normalize
from workbench.evaluation.scorers.scorer import Judging, Score, Traits, begin, no_answer, quote


class Contains(Judging, frozen=True, kw_only=True):
    """the expected answer, or the option `text`, stands in the answer; case and spaces aside unless strict

    strict: forgive nothing. text: what to look for instead of the expected answer.
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

    def score(self, text: str, case: Case) -> Score:
        own = () if self.text is None else (self.text,)
        answers = () if case.expected is None else (case.expected, *case.also)
        wanted = self.all_of or self.any_of or own or answers
        if not wanted:
            return no_answer(self.name, text)
        there = [each for each in wanted if self._stands(each, text)]
        missing = [each for each in wanted if each not in there]
        passed = bool(there) if self.any_of or wanted is answers else not missing
        told, verb = (there, "Found {}.") if passed else (missing, "{} is not in the answer.")
        explanation = verb.format(", ".join(map(quote, told)))
        return Score(self.name, float(passed), begin(", ".join(there)) if passed else "", explanation)

    def _stands(self, wanted: str, text: str) -> bool:
        return wanted in text if self.strict else normalize(wanted) in " ".join(normalize(text).split())
