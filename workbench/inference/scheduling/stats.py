"""What an engine has done: tokens prefilled, cached and completed, and how fast it decodes."""

from __future__ import annotations

from dataclasses import dataclass

_WEIGHT = 0.1


@dataclass
class EngineStats:
    """prefill_tokens: of prompts that were evaluated; cached_tokens: that were not; completion_tokens: of answers.

    tokens_per_second: decoded lately, by all sequences together; step_seconds: of a step that only decodes, lately.
    """

    prefill_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    tokens_per_second: float = 0.0
    step_seconds: float = 0.0

    def record(self, prefill: int, decoded: int, seconds: float) -> None:
        """A step took so many prompt tokens, and decoded a token of so many sequences."""
        self.prefill_tokens += prefill
        self.completion_tokens += decoded
        if decoded and seconds > 0:
            self.tokens_per_second = _blend(self.tokens_per_second, decoded / seconds)
        if decoded and not prefill:
            self.step_seconds = _blend(self.step_seconds, seconds)


def _blend(old: float, new: float) -> float:
    return new if not old else (1 - _WEIGHT) * old + _WEIGHT * new
