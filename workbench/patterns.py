"""Regular expressions from a user's files, compiled and matched within limits of time and memory.

`regex` expands a repeated part as often as it must occur, and follows a pattern that calls itself until memory runs
out; both are refused before it sees them.
"""

from __future__ import annotations

import math
import re

import regex

LONGEST = 20_000
"""Characters of a pattern."""

MOST_PARTS = 20_000
"""Parts of a pattern in which every repetition is written out as often as it must come."""

_TOKEN = re.compile(
    r"\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|(?P<still>\(\?#[^)]*\)|[\s*+?])|(?P<open>\((?:\?P?<\w+>|\?<?[:=!>|])?)|(?P<close>\))"
    r"|\{(?P<least>\d+)(?:,\d*)?\}|.",
    re.DOTALL,
)
_CALL = re.compile(r"(?<!\\)(?:\\\\)*\(\?(?:R|&|P>|[-+]?\d)")


class PatternError(ValueError):
    """What is wrong with a pattern, on one line."""


def compile_pattern(pattern: str) -> regex.Pattern[str]:
    """The compiled pattern; `regex` keeps those that were used lately. Raises PatternError."""
    if len(pattern) > LONGEST:
        raise PatternError(f"it is longer than {LONGEST:,} characters")
    if _CALL.search(pattern):
        raise PatternError("it calls itself or one of its groups, which may never end")
    if _count_parts(pattern) > MOST_PARTS:
        raise PatternError(f"its repetitions make it grow beyond {MOST_PARTS:,} parts")
    try:
        return regex.compile(pattern)
    except (regex.error, ValueError, OverflowError) as error:
        raise PatternError(str(error)[:200]) from error
    except RecursionError as error:
        raise PatternError("it nests too deeply") from error


def search(pattern: str, text: str, seconds: float) -> regex.Match[str] | None:
    """Where a pattern first matches. Raises PatternError, also for a search that takes longer than that."""
    try:
        return compile_pattern(pattern).search(text, timeout=seconds)
    except TimeoutError as error:
        raise PatternError(f"it takes longer than {seconds:g} s to match") from error


def _count_parts(pattern: str) -> int:
    """How many parts a pattern has when `x{3}` is `xxx`; an estimate for what is no pattern."""
    if "#" in pattern and re.search(r"\(\?[a-zA-Z]*x", pattern):  # comments may stand before a repetition
        return math.prod(max(1, int(least[:9])) for least in re.findall(r"\{(\d+)", pattern))
    sizes, last = [0], 0
    for token in _TOKEN.finditer(pattern):
        if token["open"]:
            sizes.append(0)
            last = 0
        elif token["close"] and len(sizes) > 1:
            last = sizes.pop() + 1
            sizes[-1] += last
        elif token["least"]:
            more = last * (min(int(token["least"][:9]), MOST_PARTS + 1) - 1) if token["least"] != "0" else 0
            sizes[-1] += more
            last += more
        elif not token["still"]:
            last = 1
            sizes[-1] += 1
    return sum(sizes)
