"""MarginResult: whether scores are at most a margin below others on the same cases, and why that is said.

Not worse has to be shown. Where the cases are too few to tell, the result says so and how many would do.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

MarginVerdict = Literal["better", "not worse", "worse", "not enough cases", "incomplete"]


class MarginResult(msgspec.Struct, frozen=True):
    """A variant against itself before, or against another, on the n cases that have a score in both.

    gain: after minus before, with its sign turned where lower is better; low, high: its 95% interval, NaN where there
    is none. bound: the least gain, at a one-sided 2.5%. missing: cases with a score before and none after. reason:
    why the outcome is what it is, one sentence. broken: numbers of the cases that became worse. needed_cases: with
    which a score that has not changed would pass four times in five.
    """

    variant: str
    outcome: MarginVerdict
    reason: str
    n: int = 0
    before: float = math.nan
    after: float = math.nan
    gain: float = math.nan
    low: float = math.nan
    high: float = math.nan
    bound: float = math.nan
    p_adjusted: float = math.nan
    missing: int = 0
    broken: tuple[int, ...] = ()
    needed_cases: int | None = None

    @property
    def passed(self) -> bool:
        return self.outcome in ("better", "not worse")
