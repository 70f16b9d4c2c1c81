"""Numeric match: the answer is the expected number, in any notation."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Annotated, ClassVar

from workbench.errors import ScorerError
from workbench.scoring.registry import option, register
from workbench.scoring.scorer import ReferenceScorer, Score, ScorerSpec, quote
from workbench.scoring.text.numbers import EXACT, read_number, write_number


@register(
    "numeric_match",
    group="match",
    help="1 if the answer is the expected number, compared exactly: 1,200 equals 1200.0",
    notes=(
        "1,5 is 1.5 (a decimal comma), 1,200 is 1200, 1.200 is 1.2, and 1.200,50 is 1200.5. Currency and percent"
        " signs, brackets, emphasis and punctuation around the number are ignored."
    ),
    example="numeric_match: {extract: last_number, tolerance: 0.01}",
)
class NumericMatch(ReferenceScorer, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec(binary=True)
    name: str = "numeric_match"
    tolerance: Annotated[float, option("Largest allowed difference, in the number's own unit", ge=0)] = 0.0

    def __post_init__(self) -> None:
        if math.isinf(self.tolerance):
            raise ScorerError("tolerance is inf; expected a finite number")

    def compare(self, text: str, expected: str) -> Score:
        wanted, found = read_number(expected), read_number(text)
        if wanted is None:
            explanation = f"The expected answer {quote(expected)} is not a number."
            return Score(self.name, 0.0, "", explanation, applies=False)
        if found is None:
            return Score(self.name, 0.0, "", "The answer is not a number; `extract: last_number` finds one in a text.")
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
