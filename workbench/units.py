"""Amounts as people write and read them: numbers, sizes, durations, dates, money, scores.

The one module of formats for the screen, the command line and the reports.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
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


def decode_unit(kind: type, value: Any) -> Any:
    """A msgspec dec_hook for both."""
    if kind is Bytes:
        return read_bytes(value)
    if kind is Seconds:
        return read_seconds(value)
    raise NotImplementedError(kind)


def format_bytes(count: float) -> str:
    """`4.2 MiB`, in steps of 1024, with three digits at most."""
    size, units = float(count), ("B", "KiB", "MiB", "GiB", "TiB")
    at = 0
    while at < len(units) - 1 and size >= 1000:  # not 1024: a fourth digit would not fit the columns
        size, at = size / 1024, at + 1
    return f"{size:.0f} {units[at]}" if at == 0 or size >= 100 else f"{size:.1f} {units[at]}"


def format_count(count: int) -> str:
    """`1,536`; `1.2 M` and `7.1 B` from a million up."""
    if count >= 1_000_000_000:
        return f"{count / 1e9:.1f} B"
    return f"{count / 1e6:.1f} M" if count >= 1_000_000 else f"{count:,}"


def format_plural(count: int, noun: str) -> str:
    """A number with its noun: `1 pair`, `1,200 pairs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def format_subject(count: int, noun: str, one: str = "is", several: str = "are") -> str:
    """A number with its noun and the verb after it: `1 row is`, `1,200 rows are`."""
    return f"{format_plural(count, noun)} {one if count == 1 else several}"


def format_duration(seconds: float) -> str:
    """`9 ms` under a second, `1.2 s` under a minute, `3:05 min` under an hour, `2:10 h` above."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02} h"


def format_date(seconds: float, utc: bool = False) -> str:
    """A moment since the epoch: `2026-11-30 09:12` on this user's clock, `2026-11-30 08:12 UTC` for others to read."""
    if utc:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


def format_number(value: float | None, digits: int = 3, signed: bool = False) -> str:
    """A figure with so many decimals; a dash where there is none (None or NaN)."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"


def format_money(amount: float) -> str:
    """In the currency of the bench's price table, which has no name: four digits that count."""
    return f"{amount:.4g}"


def format_score(value: float, share: bool = True) -> str:
    """A mean in few characters. share: of 1, which is what a percentage can be of; no margin, BLEU or perplexity is."""
    if share and 0 <= value <= 1:
        return f"{value:.1%}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def format_p(p: float) -> str:
    """A p value with as many digits as mean something: `p < 0.001`, `p = 0.042`, `p = 0.31`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


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
