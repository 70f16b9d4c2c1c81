"""Votes: which of two answers a person prefers, without knowing whose they are.

Knows nothing of keys or screens. A ballot shows two answers to one case in a random order that is stored with the
vote, so that a liking for the left side can be told from a liking for a variant.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

Choice = Literal["left", "right", "tie"]


class Ballot(msgspec.Struct, frozen=True):
    """Two answers to judge. left_variant and right_variant are for the count, not for the voter's eyes."""

    run: str
    case: int
    repeat: int
    variables: dict[str, str]
    expected: str | None
    left: str
    right: str
    left_variant: str
    right_variant: str


class Vote(msgspec.Struct, frozen=True):
    """What a person chose, and when (seconds since 1970, UTC)."""

    run: str
    case: int
    repeat: int
    left_variant: str
    right_variant: str
    choice: Choice
    at: float = 0.0
    id: int = 0


class Rating(msgspec.Struct, frozen=True):
    """A variant's strength by Bradley and Terry's model, on Elo's scale around 1000, with a 95% interval.

    chance: how probably a voter prefers it to the average variant. A tie counts half for each.
    """

    variant: str
    rating: float
    low: float
    high: float
    chance: float
    wins: int
    losses: int
    ties: int


class Votes:
    """The blind vote on one run: what to judge next, and what was judged.

    store: what keeps the votes (workbench/store). view: the run's answers. seed: decides order and sides.
    """

    def __init__(self, store: Any, view: Any, seed: int = 0) -> None: ...

    def next(self) -> Ballot | None:
        """The next ballot: pairs with the fewest votes first, only where the answers differ; None when all is done."""
        raise NotImplementedError

    def cast(self, ballot: Ballot, choice: Choice) -> Vote:
        """Keep a vote."""
        raise NotImplementedError

    def undo(self) -> Vote | None:
        """Take the last vote of this run back, and put its ballot up again; None when there is none."""
        raise NotImplementedError

    def list(self) -> tuple[Vote, ...]:
        raise NotImplementedError

    def ratings(self) -> tuple[Rating, ...]:
        """The variants, best first; empty without votes."""
        raise NotImplementedError

    def preferences(self) -> Iterator[dict[str, Any]]:
        """Each decided vote as `prompt`, `chosen` and `rejected`, as TRL's preference trainers read them."""
        raise NotImplementedError
