"""What answers cost, and the time that each of several side by side really took."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec

from workbench.inference.types import Completion


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a model costs. input: price of a million prompt tokens. output: price of a million completion tokens.
    hour: price of an hour of the machine."""

    input: float = 0.0
    output: float = 0.0
    hour: float = 0.0


def price_answer(price: Price | None, done: Completion, share_seconds: float) -> float:
    """The money that an answer costs, its share of the machine's time counted; 0 where there is no price."""
    if price is None:
        return 0.0
    tokens = done.prompt_tokens * price.input + done.output_tokens * price.output
    return tokens / 1_000_000 + share_seconds * price.hour / 3600


def find_price(prices: Mapping[str, Price], *names: str) -> Price | None:
    """The price under the first of a model's names that has one; `*` stands for any model."""
    return next((prices[name] for name in (*names, "*") if name in prices), None)


class TimeShare:
    """Divides the time of a machine among those who use it side by side: while n are at work, each is charged an n-th.

    All shares add up to the time in which anyone was at work.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._running = 0
        self._last = 0.0
        self._share = 0.0

    def begin(self) -> float:
        """One more is at work; what to hand to `end`."""
        self._pass()
        self._running += 1
        return self._share

    def end(self, begun: float) -> float:
        """It is done; the seconds it is charged."""
        self._pass()
        self._running -= 1
        return self._share - begun

    def _pass(self) -> None:
        now = self._now()
        if self._running:
            self._share += (now - self._last) / self._running
        self._last = now
