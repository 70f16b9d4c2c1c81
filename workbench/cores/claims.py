"""Claims: who computes, and how the cores are divided between them.

Every process divides alike, so none has to tell another. Knows nothing of how claims are published.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

WATCHED, BACKGROUND = 0, 1
"""Whether someone looks on."""


class Claim(NamedTuple):
    """name: unique on the machine. most: cores that it could use."""

    name: str
    pid: int
    rank: int
    most: int


def divide(cores: int, claims: Sequence[Claim]) -> dict[str, int]:
    """Cores by name: at least one each, then in turns, those that are watched first, as long as there are any."""
    given = {claim.name: 1 for claim in claims}
    order = sorted(claims, key=lambda claim: (claim.rank, claim.name))
    left = cores - len(claims)
    while left > 0 and (open_ := [claim for claim in order if given[claim.name] < claim.most]):
        poorest = min(open_, key=lambda claim: given[claim.name])
        given[poorest.name] += 1
        left -= 1
    return given
