"""Calling off a request while the model is at work on it, and making way for what someone waits for: the cache is asked
in every layer whether to go on.

Knows nothing of what is computed.
"""

from __future__ import annotations

from collections.abc import Collection


class Interrupted(Exception):
    """The computation was left; what it has put into the cache lies beyond what its rows have seen."""


class Interrupts:
    """`call_off` and `make_way` may come from any thread; the rest from the one that computes."""

    def __init__(self) -> None:
        self._called: set[int] = set()  # a set changes in one go, whichever thread does it
        self._at_work: frozenset[int] = frozenset()
        self._expected: set[int] = set()
        self._yields = False

    @property
    def called(self) -> Collection[int]:
        """The requests that are called off and whose cancel is on the way."""
        return self._called

    def call_off(self, request: int) -> None:
        self._called.add(request)

    def forget(self, request: int) -> None:
        """The request's cancel has come."""
        self._called.discard(request)

    def make_way(self, sign: int) -> None:
        """Stop computations that yield, until the same sign says to go on."""
        self._expected.add(sign)

    def go_on(self, sign: int) -> None:
        """What way was made for is here."""
        self._expected.discard(sign)

    def begin(self, requests: Collection[int], yields: bool = False) -> None:
        """A computation for these requests is about to begin. yields: it makes way for what someone waits for."""
        self._at_work = frozenset(requests)
        self._yields = yields

    def check(self) -> None:
        """Raises Interrupted where one of those at work is called off, or is to make way."""
        if self._yields and self._expected:
            raise Interrupted
        if self._called and not self._called.isdisjoint(self._at_work):
            raise Interrupted
