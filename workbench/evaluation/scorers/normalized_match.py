"""Normalised match: the whole answer is the expected one, but for what SQuAD's evaluation leaves out.

Knows nothing of answers that are only partly right (see token_f1.py).
"""

from __future__ import annotations

from typing import ClassVar

from workbench.evaluation.scorers.scorer import Comparing, Score, Traits, begin, quote
from workbench.evaluation.scorers.tokens import split_squad_tokens


class NormalizedMatch(Comparing, frozen=True, kw_only=True):
    """the words equal those of the expected answer; case, punctuation, spaces and English articles aside, as in SQuAD

    Numbers keep their sign and decimal point, signs count where there is nothing else, and so does the answer "A".
    """

    traits: ClassVar[Traits] = Traits(binary=True)
    name: str = "normalized_match"

    def compare(self, text: str, expected: str) -> Score:
        found, wanted = self.label_key(text), self.label_key(expected)
        explanation = "The same." if found == wanted else f"Expected {quote(wanted)}, got {quote(found)}."
        return Score(self.name, float(found == wanted), begin(found), explanation)

    def label_key(self, text: str) -> str:
        return " ".join(split_squad_tokens(text))
