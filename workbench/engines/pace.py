"""How many prompt tokens one step may take, from how long steps took, so that a streaming pane is never held up.

Knows nothing of what is evaluated.
"""

from __future__ import annotations

STEP_SECONDS = 0.05
"""What a step may take while someone looks on, unless the settings say otherwise."""

LEAST_TOKENS = 16
"""A prompt gets on, however slow the machine."""

UNSEEN = 4.0
"""Times that, where nobody looks on: longer steps read faster, and whoever comes waits for one of them at most."""

YIELDING = 20.0
"""The same where a step makes way for whoever comes."""

_WEIGHT = 0.3


class Pace:
    """most: tokens that a step may have at all. first: before anything was measured; without end where `fixed`.

    step_seconds: what a step may take while someone looks on. unseen: times that where nobody does.
    """

    def __init__(
        self, most: int, first: int, step_seconds: float = STEP_SECONDS, fixed: bool = False, unseen: float = UNSEEN
    ) -> None:
        self._most = most
        self._first = first
        self._fixed = fixed
        self._unseen = unseen
        self._step_seconds = step_seconds
        self._per_token = 0.0
        self._writing = 0.0

    def allow(self, writing: bool, watched: bool) -> int:
        """Prompt tokens for the next step. writing: it has rows that write. watched: someone looks on."""
        if self._fixed or not self._per_token:
            return min(self._most, self._first)
        spare = self._step_seconds * (1.0 if watched else self._unseen) - (self._writing if writing else 0.0)
        return int(min(self._most, max(LEAST_TOKENS, spare / self._per_token)))

    def note(self, read: int, written: int, seconds: float) -> None:
        """A step read so many prompt tokens and wrote for so many rows."""
        if written and not read:
            self._writing = _blend(self._writing, seconds)
        elif read >= LEAST_TOKENS:
            rest = max(seconds - (self._writing if written else 0.0), seconds / 10)
            self._per_token = _blend(self._per_token, rest / read)


def _blend(old: float, new: float) -> float:
    return new if not old else (1 - _WEIGHT) * old + _WEIGHT * new
