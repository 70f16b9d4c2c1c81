"""Token F1: how much of the words the answer and the expected one share.

Knows nothing of word order, nor of what a word is (see tokens.py).
"""

from __future__ import annotations

from collections import Counter

from workbench.evaluation.scorers.scorer import Comparing, Score, begin
from workbench.evaluation.scorers.tokens import split_squad_tokens


class TokenF1(Comparing, frozen=True, kw_only=True):
    """harmonic mean of precision and recall over the words shared with the expected answer, as in SQuAD; a character is
    a word where a script writes no spaces, as in MLQA

    Numbers keep their sign and decimal point, signs count where there is nothing else, and so does the answer "A".
    """

    name: str = "token_f1"

    def compare(self, text: str, expected: str) -> Score:
        found, wanted = split_squad_tokens(text), split_squad_tokens(expected)
        shared = (Counter(found) & Counter(wanted)).total()
        if not found:
            return Score(self.name, 0.0, "", "The answer has no words.")
        precision, recall = shared / len(found), shared / len(wanted)
        value = 2 * precision * recall / (precision + recall) if shared else 0.0
        explanation = f"{shared} shared words; precision {precision:.2f}, recall {recall:.2f}."
        return Score(self.name, value, begin(" ".join(found)), explanation)
