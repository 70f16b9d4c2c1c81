"""Steps that took many times what is usual for their kind: their threads waited for each other.

The net below all that is sensed, for machines that do not tell who else computes. Knows nothing of what a step is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

_TIMES = 5.0
_LEAST_SECONDS = 0.02
_KNOWN = 5
"""Steps of a kind after which it is known what is usual."""

_WEIGHT = 0.2
_FIRST_HOLD, _LONGEST_HOLD = 1.0, 16.0


class Stalls:
    """clock: in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._usual: dict[Hashable, tuple[int, float]] = {}
        self._hold = _FIRST_HOLD
        self._until = float("-inf")

    @property
    def holding(self) -> bool:
        """Whether one thread is enough for now; longer each time, where several stall again soon."""
        return self._clock() < self._until

    def note(self, kind: Hashable, threads: int, seconds: float) -> None:
        """A step of a kind, with so many threads, took so long."""
        count, usual = self._usual.get(kind, (0, 0.0))
        if threads > 1 and count >= _KNOWN and seconds > max(_LEAST_SECONDS, _TIMES * usual):
            self._stall()
            return
        usual = seconds if not count else usual + _WEIGHT * (seconds - usual)
        self._usual[kind] = (count + 1, usual)

    def _stall(self) -> None:
        now = self._clock()
        again = now < self._until + self._hold
        self._hold = min(_LONGEST_HOLD, 2 * self._hold) if again else _FIRST_HOLD
        self._until = now + self._hold
