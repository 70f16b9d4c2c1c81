"""How many prompt tokens one step may take, where each pass over the weights costs much, however few tokens it has.

Knows nothing of what is evaluated.
"""

from __future__ import annotations

from workbench.engines.pace import STEP_SECONDS, Pace

LEAST_TOKENS = 32
"""In a step at which someone looks on; fewer would take about as long."""


class PassPace(Pace):
    """first: tokens of a step while nobody looks on, at least."""

    def __init__(self, most: int, first: int, step_seconds: float = STEP_SECONDS) -> None:
        super().__init__(most, first, step_seconds)
        self._unwatched = first

    def allow(self, writing: bool, watched: bool) -> int:
        least = min(LEAST_TOKENS, self._unwatched) if watched else self._unwatched
        return max(least, super().allow(writing, watched))
