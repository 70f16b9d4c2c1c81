"""Numeric match: the answer is the expected number, however it is written.

Knows nothing of where in an answer a number stands: the option `extract` says that.
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from workbench.errors import ScorerError
from workbench.evaluation.scorers.numbers import EXACT, read_number, write_number
from workbench.evaluation.scorers.scorer import Comparing, Score, Traits, quote


class NumericMatch(Comparing, frozen=True, kw_only=True):
    """the answer is the expected number, compared exactly: 1,200 and 1200.0 are the same; `tolerance` says how far it
    may be off

    1,5 is 1.5 (a decimal comma), 1,200 is 1200, 1.200 is 1.2, and 1.200,50 is 1200.5. Currency and percent signs,
    brackets, emphasis and punctuation around the number do not count.

    tolerance: how far, in the number's own unit.
    """

    traits: ClassVar[Traits] = Traits(binary=True)
    name: str = "numeric_match"
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < float("inf"):
            raise ScorerError(f"tolerance is {self.tolerance:g}; expected 0 or more")

    def compare(self, text: str, expected: str) -> Score:
        wanted, found = read_number(expected), read_number(text)
        if wanted is None:
            explanation = f"The expected answer {quote(expected)} is no number."
            return Score(self.name, 0.0, "", explanation, applies=False)
        if found is None:
            return Score(self.name, 0.0, "", "The answer is no number; `extract: last_number` finds one in a text.")
        off = EXACT.abs(EXACT.subtract(found, wanted))
        same = off <= Decimal(repr(self.tolerance))
        within = (
            f"{write_number(found)} is within {self.tolerance:g} of {write_number(wanted)}." if off else "The same."
        )
        explanation = within if same else f"Expected {write_number(wanted)}, got {write_number(found)}."
        return Score(self.name, float(same), write_number(found), explanation)

    def label_key(self, text: str) -> str:
        value = read_number(text)
        return text.strip() if value is None else write_number(value)
