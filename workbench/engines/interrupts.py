"""Which computation is to be left early: one of a request that is called off, or one that makes way for what someone
waits for.

Knows nothing of what is computed, nor of how native code is stopped.
"""

from __future__ import annotations

from collections.abc import Collection


class Interrupted(Exception):
    """The computation was left; what it has put into the cache lies beyond what its rows have seen."""


class Interrupts:
    """`call_off` and `make_way` may come from any thread; the rest from the one that computes."""

    def __init__(self) -> None:
        self._called: set[int] = set()  # a set changes in one go, whichever thread does it
        self._expected: set[int] = set()
        self._at_work: frozenset[int] = frozenset()
        self._yields = False

    @property
    def called(self) -> Collection[int]:
        """The requests that are called off and whose cancel is on the way."""
        return self._called

    def call_off(self, request: int) -> None:
        """Stop the computation that a request is part of. Its cancel has to follow."""
        self._called.add(request)
        if self._stopped:
            self.stop()

    def forget(self, request: int) -> None:
        """The request's cancel has come."""
        self._called.discard(request)

    def make_way(self, sign: int) -> None:
        """Stop computations that yield, until the same sign says to go on."""
        self._expected.add(sign)
        if self._stopped:
            self.stop()

    def go_on(self, sign: int) -> None:
        """What way was made for is here."""
        self._expected.discard(sign)

    def begin(self, requests: Collection[int], yields: bool = False) -> bool:
        """A computation for these requests is about to begin; False where it would be stopped at once.

        yields: it makes way for what someone waits for.
        """
        self._at_work = frozenset(requests)  # from here on a call stops it; one that came before is seen below
        self._yields = yields
        return not self._stopped

    def end(self) -> None:
        self._at_work = frozenset()
        self._yields = False

    def check(self) -> None:
        """For code that asks whether to go on. Raises Interrupted."""
        if self._stopped:
            raise Interrupted

    def stop(self) -> None:
        """For code that is told."""

    @property
    def _stopped(self) -> bool:
        return bool(self._yields and self._expected) or not self._called.isdisjoint(self._at_work)
