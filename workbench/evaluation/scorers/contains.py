"""Contains: the expected answer stands somewhere in the text.

Knows nothing of patterns (see pattern.py).
"""

from __future__ import annotations

import msgspec

from workbench.evaluation.dataset import Case
from workbench.evaluation.scorers.normalization import normalize
from workbench.evaluation.scorers.scorer import Score, no_answer


class Contains(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """the expected answer, or the option `text`, stands in the answer; case and spaces aside unless strict"""

    name: str = "contains"
    strict: bool = False
    text: str | None = None

    def score(self, text: str, case: Case) -> Score:
        wanted = case.expected if self.text is None else self.text
        if wanted is None:
            return no_answer(self.name, text)
        found = wanted in text if self.strict else normalize(wanted) in " ".join(normalize(text).split())
        explanation = f"Found {wanted!r}." if found else f"{wanted!r} is not in the answer."
        return Score(self.name, float(found), wanted if found else "", explanation)
