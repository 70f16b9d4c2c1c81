"""Votes: which of two answers a person prefers, without knowing whose they are.

A ballot shows two answers to one case in a random order that is stored with the vote, so that a preference for the left
side can be told from a preference for a variant.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from statistics import fmean
from typing import Literal, NamedTuple, cast

import msgspec

from workbench.errors import StoreError
from workbench.runs.view import RunView
from workbench.store.store import Store
from workbench.store.votes import VoteRecord, add_vote, delete_last_vote, read_differing, read_votes

Choice = Literal["left", "right", "tie"]

_ELO = 173.7177927613007  # 400 / ln 10: a strength of 1 on Elo's scale
_AVERAGE = 1000.0


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

    @property
    def winner(self) -> str:
        """The variant that was preferred; "" for a tie."""
        return {"left": self.left_variant, "right": self.right_variant, "tie": ""}[self.choice]

    @property
    def loser(self) -> str:
        return {"left": self.right_variant, "right": self.left_variant, "tie": ""}[self.choice]


class Rating(msgspec.Struct, frozen=True):
    """A variant's strength by Bradley and Terry's model, on Elo's scale around 1000, with a 95% interval.

    chance: how probably a voter prefers it to the average variant. wins, losses, ties: over cases and pairs, each once;
    a tie counts half for each.
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
    """The blind vote on one run: what to judge next, and what was judged. Every method may raise StoreError.

    seed: decides order and sides. clock: seconds since 1970.
    """

    def __init__(self, store: Store, view: RunView, seed: int = 0, clock: Callable[[], float] = time.time) -> None:
        self._store, self._view, self._seed, self._clock = store, view, seed, clock
        self._run = view.run.key
        self._again: Ballot | None = None

    @property
    def view(self) -> RunView:
        """The run that is voted on."""
        return self._view

    def next(self) -> Ballot | None:
        """The next ballot: pairs with the fewest votes first, only where the answers differ; None when all is done."""
        if self._again is not None:
            return self._again
        votes = Counter(frozenset((one.left, one.right)) for one in read_votes(self._store, self._run))
        pairs = combinations(range(len(self._view.variants)), 2)
        for pair in sorted(pairs, key=lambda pair: (votes[frozenset(pair)], self._draw(votes.total(), *pair))):
            open_cases = read_differing(self._store, self._run, *pair)
            for number, repeat in sorted(open_cases, key=lambda case: self._draw(*case, *pair)):
                with contextlib.suppress(StoreError):  # a case that is damaged is not put to the vote
                    return self._make(number, repeat, pair)
        return None

    def cast(self, ballot: Ballot, choice: Choice) -> Vote:
        """Keep a vote."""
        self._again = None
        indexes = self._index(ballot.left_variant), self._index(ballot.right_variant)
        record = VoteRecord(0, ballot.case, ballot.repeat, *indexes, choice, self._clock())
        return self._read(record._replace(key=add_vote(self._store, self._run, record)))

    def undo(self) -> Vote | None:
        """Take the last vote of this run back, and put its ballot up again; None when there is none."""
        record = delete_last_vote(self._store, self._run)
        if record is None:
            return None
        self._again = self._show(record.number, record.repeat, record.left, record.right)
        return self._read(record)

    def list(self) -> tuple[Vote, ...]:
        """Every vote, in the order they were cast."""
        return tuple(map(self._read, read_votes(self._store, self._run)))

    def ratings(self) -> tuple[Rating, ...]:
        """The variants, best first; empty without votes."""
        return rate_votes(self.list(), self._view.variants)

    def _make(self, number: int, repeat: int, pair: tuple[int, int]) -> Ballot | None:
        turned = self._draw(number, repeat, *pair)[0] & 1
        return self._show(number, repeat, *(reversed(pair) if turned else pair))

    def _show(self, number: int, repeat: int, left: int, right: int) -> Ballot | None:
        names = self._view.variants[left], self._view.variants[right]
        texts = [cell.completion.text for name in names if (cell := self._view.cell(name, number, repeat)) is not None]
        if len(texts) < 2:
            return None
        case = self._view.case(number)
        return Ballot(self._view.id, number, repeat, case.variables, case.expected, texts[0], texts[1], *names)

    def _read(self, record: VoteRecord) -> Vote:
        names = self._view.variants[record.left], self._view.variants[record.right]
        choice = cast(Choice, record.choice)
        return Vote(self._view.id, record.number, record.repeat, *names, choice, record.at, record.key)

    def _index(self, variant: str) -> int:
        return self._view.variants.index(variant)

    def _draw(self, *what: int) -> bytes:
        """A fixed lot for anything, by the seed and the run."""
        text = repr((self._seed, self._view.id, what)).encode()
        return hashlib.blake2b(text, digest_size=8).digest()


class JudgedPair(NamedTuple):
    """Two answers to one case, and how far the left one was preferred: 1, 0, a tie 0.5, a mean of several opinions."""

    case: int
    left: str
    right: str
    share: float


def rate_votes(votes: Sequence[Vote], variants: Sequence[str]) -> tuple[Rating, ...]:
    """The variants that were voted on, best first."""
    shares = {"left": 1.0, "right": 0.0, "tie": 0.5}
    compared = [JudgedPair(one.case, one.left_variant, one.right_variant, shares[one.choice]) for one in votes]
    return rate_comparisons(compared, variants)


def rate_comparisons(comparisons: Sequence[JudgedPair], variants: Sequence[str]) -> tuple[Rating, ...]:
    """The variants that were compared, best first.

    Opinions on the same two variants and case count as one: both orders, several judges and repeats are no more cases.
    """
    merged = _merge(comparisons)
    if not merged:
        return ()
    import numpy as np

    from workbench.statistics.bradley_terry import rate_cases

    known = [name for name in variants if any(name in (one.left, one.right) for one in merged)]
    index = {name: at for at, name in enumerate(known)}
    values, halves = rate_cases(
        np.array([(index[one.left], index[one.right]) for one in merged]),
        np.array([one.share for one in merged]),
        np.array([one.case for one in merged]),
        len(known),
    )
    rated = [_rate(name, float(values[at]), float(halves[at]), merged) for name, at in index.items()]
    return tuple(sorted(rated, key=lambda one: -one.rating))


def _merge(comparisons: Sequence[JudgedPair]) -> list[JudgedPair]:
    """One comparison for each case and pair, with the mean of the shares."""
    shares: dict[tuple[int, str, str], list[float]] = {}
    for one in comparisons:
        left, right = sorted((one.left, one.right))
        shares.setdefault((one.case, left, right), []).append(one.share if left == one.left else 1 - one.share)
    return [JudgedPair(*key, fmean(found)) for key, found in shares.items()]


def _rate(name: str, value: float, half: float, comparisons: Sequence[JudgedPair]) -> Rating:
    own = [one.share if one.left == name else 1 - one.share for one in comparisons if name in (one.left, one.right)]
    wins, losses = sum(share > 0.5 for share in own), sum(share < 0.5 for share in own)
    low, middle, high = (_AVERAGE + _ELO * (value + side * half) for side in (-1, 0, 1))
    chance = 1 / (1 + math.exp(-value))
    return Rating(name, middle, low, high, chance, wins, losses, len(own) - wins - losses)
