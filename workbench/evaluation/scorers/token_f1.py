"""Token F1: how much of the words the answer and the expected one share.

Knows nothing of word order. The definition is SQuAD's (Rajpurkar et al. 2016), articles and punctuation
aside.
"""

from __future__ import annotations

from collections import Counter

from workbench.evaluation.datasets import Case
from workbench.evaluation.scorers.normalization import split_squad_tokens
from workbench.evaluation.scorers.scorer import Judging, Score, no_answer


class TokenF1(Judging, frozen=True, kw_only=True):
    """harmonic mean of precision and recall over the words shared with the expected answer, as in SQuAD"""

    name: str = "token_f1"

    def score(self, text: str, case: Case) -> Score:
        if case.expected is None:
            return no_answer(self.name, text)
        found, expected = split_squad_tokens(text), split_squad_tokens(case.expected)
        shared = (Counter(found) & Counter(expected)).total()
        if not found or not expected:
            return Score(self.name, float(found == expected), " ".join(found), "One side has no words.")
        precision, recall = shared / len(found), shared / len(expected)
        value = 2 * precision * recall / (precision + recall) if shared else 0.0
        explanation = f"{shared} shared words; precision {precision:.2f}, recall {recall:.2f}."
        return Score(self.name, value, " ".join(found), explanation)
