"""Speeds: the decode speed of each engine over the last minute."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping

SECONDS = 0.5
"""between two notes"""
_KEPT = int(60 / SECONDS)


class Speeds:
    """Tokens a second, noted every SECONDS, the oldest first. Engines that are no longer named are forgotten."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, deque[float]] = {}

    def note(self, now: Mapping[Hashable, float]) -> None:
        self._kept = {engine: self._kept.get(engine) or deque(maxlen=_KEPT) for engine in now}
        for engine, speed in now.items():
            self._kept[engine].append(speed)

    def of(self, engine: Hashable) -> tuple[float, ...]:
        return tuple(self._kept.get(engine, ()))
