"""A limit on how much work one rendering of a template may do.

A unit is what Python does in about a microsecond: a call, an item of a list, or sixteen characters of text. The limit
is a number of units, so that it does not depend on how busy the machine is; CPU time is only the second limit.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any

from jinja2.exceptions import TemplateRuntimeError

MAX_CHARACTERS = 8_000_000
"""The longest text that a template may make."""

MAX_UNITS = 1_000_000
"""What a template may spend, beside `UNITS_PER_INPUT` for each unit of what it is given."""

UNITS_PER_INPUT = 20
MAX_SECONDS = 0.9
"""Processor time of one rendering."""

CALL = 4
"""Units of a call, an operator or a turn of a loop."""

_CHARACTERS_PER_UNIT = 16
_BITS_PER_UNIT = 512
_SPENDS_PER_LOOK = 256


class WorkLimitExceeded(TemplateRuntimeError):
    """The template would run for too long, or make too much."""


class WorkLimit:
    """What one rendering has left."""

    __slots__ = ("_looks", "_stop_at", "left", "longest")

    def __init__(self, given: object) -> None:
        self.longest = MAX_CHARACTERS
        self.left = 1 << 40
        weight = count_units(given, self.left)
        self.left = MAX_UNITS + UNITS_PER_INPUT * weight
        self.longest = max(MAX_CHARACTERS, 2 * _CHARACTERS_PER_UNIT * weight)
        self._looks = _SPENDS_PER_LOOK
        self._stop_at = 0.0  # set at the first look: most renderings end before, and asking for the time is slow

    def spend(self, units: int) -> None:
        """Raises Runaway when nothing is left."""
        self.left -= units
        self._looks -= 1
        if self.left < 0:
            raise WorkLimitExceeded("it does too much work: too many iterations, or too much data")
        if self._looks <= 0:
            self._looks = _SPENDS_PER_LOOK
            now = time.thread_time()
            self._stop_at = self._stop_at or now + MAX_SECONDS
            if now > self._stop_at:
                raise WorkLimitExceeded(f"it takes more than {MAX_SECONDS:g} seconds")

    def check_length(self, length: int) -> None:
        """Raises Runaway for a text or a list that would be longer than any may be."""
        if length > self.longest:
            raise WorkLimitExceeded(f"it would make something of size {length:,}; at most {self.longest:,} are allowed")


_CURRENT: ContextVar[WorkLimit | None] = ContextVar("work", default=None)


@contextlib.contextmanager
def limit_work(given: object) -> Iterator[WorkLimit]:
    """Bounds what templates do inside; given: the values of the rendering, of which more may make more work."""
    work = WorkLimit(given)
    token = _CURRENT.set(work)
    try:
        yield work
    finally:
        _CURRENT.reset(token)


def current_limit() -> WorkLimit:
    """The present rendering's; one of its own where none is, as when Jinja tries a constant while it compiles."""
    return _CURRENT.get() or WorkLimit(())


def spend(units: int) -> None:
    current_limit().spend(units)


def count_items(items: Iterable[Any]) -> Iterator[Any]:
    """The items, each counted as it is taken."""
    work = current_limit()
    for item in items:
        work.spend(CALL)
        yield item


def count_units(value: Any, most: int) -> int:
    """The units of a value, all that is inside it counted each time it is there; more than `most` is not looked at."""
    if isinstance(value, str):
        return 1 + len(value) // _CHARACTERS_PER_UNIT
    if not isinstance(value, (dict, list, tuple, set, frozenset)):
        return count_own_units(value)
    units, waiting = 0, [value]
    while waiting and units <= most:
        inner = waiting.pop()
        units += 1
        items: Iterable[Any] = (*inner.keys(), *inner.values()) if isinstance(inner, dict) else inner
        for item in items:
            if isinstance(item, (dict, list, tuple, set, frozenset)):
                waiting.append(item)
            else:
                units += count_own_units(item)
            if units > most:
                break
    return units


def count_own_units(value: Any) -> int:
    """The units of a value without what is inside its items."""
    if isinstance(value, (str, bytes)):
        return 1 + len(value) // _CHARACTERS_PER_UNIT
    if isinstance(value, int):
        return 1 + value.bit_length() // _BITS_PER_UNIT
    return 1 + len(value) if isinstance(value, (dict, list, tuple, set, frozenset, range)) else 1
