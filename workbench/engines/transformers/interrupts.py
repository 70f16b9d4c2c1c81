"""Calling off a request while the model is at work on it: the cache is asked in every layer whether to go on.

Knows nothing of what is computed.
"""

from __future__ import annotations

from collections.abc import Collection


class Interrupted(Exception):
    """The computation was left; what it has put into the cache lies beyond what its rows have seen."""


class Interrupts:
    """`call_off` may come from any thread; the rest from the one that computes."""

    def __init__(self) -> None:
        self._called: frozenset[int] = frozenset()
        self._at_work: frozenset[int] = frozenset()

    @property
    def called(self) -> frozenset[int]:
        """The requests that are called off and whose cancel is on the way."""
        return self._called

    def call_off(self, request: int) -> None:
        self._called |= {request}

    def forget(self, request: int) -> None:
        """The request's cancel has come."""
        self._called -= {request}

    def begin(self, requests: Collection[int]) -> None:
        """A computation for these requests is about to begin."""
        self._at_work = frozenset(requests)

    def check(self) -> None:
        """Raises Interrupted where one of those at work is called off."""
        if self._called and not self._called.isdisjoint(self._at_work):
            raise Interrupted
