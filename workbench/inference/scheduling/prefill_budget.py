"""Chunked prefill: how many prompt tokens one step may take, from how long steps took.

A long prompt is read in chunks beside the sequences that decode, so that a stream is never held up (Sarathi-Serve,
Agrawal et al. 2024; vLLM's chunked prefill). The chunk here follows a time, not a fixed number of tokens.
"""

from __future__ import annotations

STEP_SECONDS = 0.05
"""What a step may take while a request is interactive, unless the settings say otherwise."""

LEAST_TOKENS = 16
"""A prompt gets on, however slow the machine."""

BATCH_FACTOR = 4.0
"""Times that for batch requests: longer steps prefill faster, and an interactive one waits for one of them at most."""

PREEMPTED_FACTOR = 20.0
"""The same where a step is preempted in the middle."""

_WEIGHT = 0.3


class PrefillBudget:
    """most: tokens that a step may have. first: before anything was measured; always where `fixed`. In deterministic
    mode a step has that many, whatever `most` is.

    step_seconds: what a step may take while a request is interactive. batch_factor: times that where none is. least:
    tokens of a step at least, interactive and batch.
    """

    def __init__(
        self,
        most: int,
        first: int,
        step_seconds: float = STEP_SECONDS,
        fixed: bool = False,
        batch_factor: float = BATCH_FACTOR,
        least: tuple[int, int] = (LEAST_TOKENS, LEAST_TOKENS),
    ) -> None:
        self._most = most
        self._first = first
        self._fixed = fixed
        self._batch_factor = batch_factor
        self._least = least
        self._step_seconds = step_seconds
        self._per_token = 0.0
        self._decode_seconds = 0.0

    @property
    def fixed_chunk(self) -> int:
        """Prompt tokens of each step in deterministic mode: no clock decides where a prompt is divided."""
        return self._first

    def next_chunk(self, decoding: bool, interactive: bool) -> int:
        """Prompt tokens for the next step. decoding: it has sequences that decode, an interactive one among them."""
        if self._fixed or not self._per_token:
            return min(self._most, self._first)
        spare = self._step_seconds * (1.0 if interactive else self._batch_factor)
        spare -= self._decode_seconds if decoding else 0.0
        least = self._least[0] if interactive else self._least[1]
        return int(min(self._most, max(least, spare / self._per_token)))

    def record(self, prefill: int, decoded: int, seconds: float) -> None:
        """A step took so many prompt tokens, and decoded a token of so many sequences."""
        if decoded and not prefill:
            self._decode_seconds = _blend(self._decode_seconds, seconds)
        elif prefill >= LEAST_TOKENS:
            rest = max(seconds - (self._decode_seconds if decoded else 0.0), seconds / 10)
            self._per_token = _blend(self._per_token, rest / prefill)


def _blend(old: float, new: float) -> float:
    return new if not old else (1 - _WEIGHT) * old + _WEIGHT * new
