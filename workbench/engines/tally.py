"""What an engine has done: tokens read, taken over and written, and the time that took.

Knows nothing of where the numbers are shown.
"""

from __future__ import annotations

from dataclasses import dataclass

_WEIGHT = 0.1


@dataclass
class Tally:
    """read: prompt tokens that were evaluated; cached: that were not; written: tokens of answers.

    tokens_per_second: written lately, by all rows together; step_seconds: of a step that only writes, lately.
    """

    read: int = 0
    cached: int = 0
    written: int = 0
    tokens_per_second: float = 0.0
    step_seconds: float = 0.0

    def note(self, read: int, written: int, seconds: float) -> None:
        """A step read so many prompt tokens and wrote for so many rows."""
        self.read += read
        self.written += written
        if written and seconds > 0:
            self.tokens_per_second = _blend(self.tokens_per_second, written / seconds)
        if written and not read:
            self.step_seconds = _blend(self.step_seconds, seconds)


def _blend(old: float, new: float) -> float:
    return new if not old else (1 - _WEIGHT) * old + _WEIGHT * new
