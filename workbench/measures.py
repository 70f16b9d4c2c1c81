"""Measures as people write them: `512 MiB`, `50 ms`.

Knows nothing of what is measured.
"""

from __future__ import annotations

import math
import re
from typing import Any

_SIZES = {
    "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
_TIMES = {"ms": 0.001, "s": 1.0}
_WRITTEN = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*([A-Za-z]*)\s*")
_MOST_SECONDS = 60.0
_LARGEST = 2.0**53
_LONGEST = 100  # characters of an amount


class Bytes(int):
    """An amount of memory."""


class Seconds(float):
    """A span of time."""


def read_bytes(value: object) -> Bytes:
    """`512 MiB`, `1.5 GB`, or a plain number of bytes. Raises ValueError that says what was expected."""
    number, unit = _split(value)
    sizes = {name.lower(): size for name, size in _SIZES.items()}
    if number is None or (unit and unit.lower() not in sizes) or (not unit and not number.is_integer()):
        raise ValueError(f'Expected memory such as "512 MiB", "2 GB" or 0, got {_show(value)}')
    return Bytes(number * sizes[unit.lower() or "b"])


def read_seconds(value: object) -> Seconds:
    """`50 ms`, `0.05 s`, or a plain number of seconds; from 1 ms to a minute.

    Raises ValueError that says what was expected.
    """
    number, unit = _split(value)
    if number is None or (unit and unit not in _TIMES):
        raise ValueError(f'Expected a time such as "50 ms" or 0.05 (seconds), got {_show(value)}')
    seconds = number * _TIMES[unit or "s"]
    if not 0.001 <= seconds <= _MOST_SECONDS:
        raise ValueError(f"Expected a time from 1 ms to {_MOST_SECONDS:g} s, got {_show(value)}")
    return Seconds(seconds)


def read_measure(kind: type, value: Any) -> Any:
    """A msgspec dec_hook for both."""
    if kind is Bytes:
        return read_bytes(value)
    if kind is Seconds:
        return read_seconds(value)
    raise NotImplementedError(kind)


def _show(value: object) -> str:
    """The value in a message, where it is short enough to be read."""
    if isinstance(value, int) and abs(value) > _LARGEST:
        return "a number that is too large"
    text = ascii(value) if isinstance(value, (str, int, float)) else type(value).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _split(value: object) -> tuple[float | None, str]:
    """Number and unit; None for the number where there is none."""
    if isinstance(value, bool):
        return None, ""
    if isinstance(value, (int, float)):
        return (float(value), "") if 0 <= value <= _LARGEST else (None, "")
    found = _WRITTEN.fullmatch(value) if isinstance(value, str) and len(value) <= _LONGEST else None
    number = float(found[1]) if found else math.inf
    return (number, found[2] if found else "") if number <= _LARGEST else (None, "")
