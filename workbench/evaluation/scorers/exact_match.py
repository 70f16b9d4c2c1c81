"""Exact match: the whole answer is the expected one.

Knows nothing of parts of an answer (see contains.py and pattern.py).
"""

from __future__ import annotations

import msgspec

from workbench.evaluation.dataset import Case
from workbench.evaluation.scorers.normalization import normalize
from workbench.evaluation.scorers.scorer import Score, no_answer


class ExactMatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """the whole answer equals the expected one; case, spaces and punctuation around it aside unless strict"""

    name: str = "exact_match"
    strict: bool = False

    def score(self, text: str, case: Case) -> Score:
        if case.expected is None:
            return no_answer(self.name, text)
        extracted = text if self.strict else text.strip()
        same = text == case.expected if self.strict else normalize(text) == normalize(case.expected)
        explanation = "The same." if same else f"Expected {case.expected!r}, got {extracted!r}."
        return Score(self.name, float(same), extracted, explanation)
