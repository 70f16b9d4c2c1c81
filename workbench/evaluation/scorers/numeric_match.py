"""Numeric match: the answer is the expected number, however it is written.

Knows nothing of where in an answer a number stands: the option `extract` says that.
"""

from __future__ import annotations

import math
from typing import ClassVar

from workbench.errors import ScorerError
from workbench.evaluation.scorers.scorer import Comparing, Score, Traits


class NumericMatch(Comparing, frozen=True, kw_only=True):
    """the answer is the expected number: 1,200 and 1200.0 are the same; `tolerance` says how far it may be off

    tolerance: how far, in the number's own unit.
    """

    traits: ClassVar[Traits] = Traits(binary=True)
    name: str = "numeric_match"
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if not self.tolerance >= 0:
            raise ScorerError(f"tolerance is {self.tolerance:g}; it must not be less than 0")

    def compare(self, text: str, expected: str) -> Score:
        wanted, found = _read(expected), _read(text)
        if wanted is None:
            return Score(self.name, 0.0, "", f"The expected answer {expected!r} is no number.", applies=False)
        if found is None:
            return Score(self.name, 0.0, "", "The answer is no number; `extract: last_number` finds one in a text.")
        same = math.isclose(found, wanted, rel_tol=1e-9, abs_tol=self.tolerance)
        explanation = "The same." if same else f"Expected {wanted:g}, got {found:g}."
        return Score(self.name, float(same), f"{found:g}", explanation)


def _read(text: str) -> float | None:
    try:
        value = float(text.strip().rstrip(".").lstrip("$€£").rstrip("%€$£ ").replace(",", "").replace("_", ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
