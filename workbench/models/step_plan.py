"""How an engine lays out its steps on a device, and whether that was measured there."""

from __future__ import annotations

from typing import Literal

import msgspec

PROMPT_TOKENS, ROWS, CACHED_TOKENS = 512, 32, 512
"""What holds where nothing was measured; also the limits on the CPU, where the time of each step decides."""


class StepPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The limits of a model's steps on its devices.

    prompt_tokens: of a step at most, evaluated in one go, which nothing interrupts. rows: batch requests that are
    decoded together. cached_tokens: of ended prompts that stay in the devices' KV cache. saves_prefixes: whether
    evicted ones go to host memory; else they are prefilled again. device_sampling: the device picks the likeliest token
    of greedy answers, so that logits need not be copied.
    source: where the numbers come from. note: what was not measured, and why.
    """

    prompt_tokens: int = PROMPT_TOKENS
    rows: int = ROWS
    cached_tokens: int = CACHED_TOKENS
    saves_prefixes: bool = True
    device_sampling: bool = False
    source: Literal["measured", "remembered", "default"] = "default"
    note: str = ""

    def describe(self) -> str:
        """In a line, such as `512-token pieces, 32 rows, measured; …`."""
        return "; ".join(self.lines)

    @property
    def lines(self) -> tuple[str, ...]:
        """The same, short enough for a narrow screen."""
        sources = {"measured": "measured", "remembered": "measured at an earlier load", "default": "not measured"}
        evicted = "evicted ones go to RAM" if self.saves_prefixes else "evicted ones are dropped"
        return (
            f"{self.prompt_tokens}-token pieces, {self.rows} rows, {sources[self.source]}",
            *([self.note] if self.note else []),
            f"{self.cached_tokens:,} tokens of ended prompts stay, {evicted}",
            *(["the device picks greedy tokens"] if self.device_sampling else []),
        )
