"""A grant of cores that falls at once and rises when there was more for a while, so that it does not flap.

Knows nothing of where the wishes come from.
"""

from __future__ import annotations

_CALM_SECONDS = 0.5


class Grant:
    """cores: how many are granted; 0 before the first wish."""

    def __init__(self) -> None:
        self.cores = 0
        self._pressed = 0.0

    def follow(self, tolerable: int, sure: int, now: float) -> int:
        """Cores from now on. tolerable: that may be kept. sure: that may be taken, not more than those."""
        if not self.cores or tolerable < self.cores:
            self.cores = tolerable
        if sure <= self.cores:
            self._pressed = now
        elif now - self._pressed >= _CALM_SECONDS:
            self.cores, self._pressed = sure, now
        return self.cores
