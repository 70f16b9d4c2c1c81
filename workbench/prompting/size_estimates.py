"""How large the result of a filter or a method would be, and how slow the slow ones are, before they run.

Most results are no longer than their input, and input is counted anyway; here are those that multiply, pad, or search
twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from workbench.prompting.work_limit import WorkLimitExceeded, count_units

MAX_BITS = 100_000
"""The largest whole number that a template may make."""

_PADDING = frozenset({"ljust", "rjust", "center", "zfill", "batch", "slice", "to_bytes", "truncate"})
_BACKWARDS = frozenset({"rfind", "rindex", "rsplit", "rpartition"})
_STRIPPING = frozenset({"strip", "lstrip", "rstrip", "trim"})
_SLOW = {
    "escape": 4, "e": 4, "forceescape": 4, "urlencode": 16, "xmlattr": 16, "tojson": 8, "pprint": 64, "title": 8,
    "dump": 8, "load": 8,
    "wordcount": 4, "wordwrap": 16, "sort": 8, "dictsort": 8, "groupby": 8, "unique": 4, "min": 2, "max": 2,
}  # fmt: skip
"""How many times as long as a plain filter they take for what they are given."""

_WIDTH = re.compile(r"[%{][^%{}\s]*?(\d{1,12})")
_WIDTH_BY_ARGUMENT = re.compile(r"%[^%\s]{0,20}\*|\{[^{}]*:[^{}]*\{")
_MOST_PRECISION = 300
_MOST_UNITS = 1 << 21  # no result may be that large, so that nothing larger is weighed


def estimate_size(name: str, values: tuple[Any, ...]) -> int:
    """The size of what would be made; values: what it is done to, then its arguments. 0 where it cannot be large."""
    numbers = [abs(value) for value in values if isinstance(value, int)]
    if name in _PADDING:
        return max(numbers[:2], default=0)
    if name == "round" and any(number > _MOST_PRECISION for number in numbers[-1:]):
        raise WorkLimitExceeded(f"it asks for more than {_MOST_PRECISION} digits")
    estimate = _ESTIMATES.get(name)
    return estimate(values, max(numbers, default=0)) if estimate else 0


def estimate_units(name: str, values: tuple[Any, ...], weight: int) -> int:
    """What it costs beside what it is given, whose weight is that."""
    texts = [value for value in values if isinstance(value, str)]
    if name == "wordwrap" and texts:
        longest = max(
            map(len, texts[0].split()), default=0
        )  # a word that is too long is cut off its rest, again and again
        width = next((value for value in values[1:] if isinstance(value, int)), 79)
        return weight * _SLOW[name] + longest * longest // max(width, 1) // 4096
    if name in _SLOW:
        return weight * _SLOW[name]
    if name in _BACKWARDS and len(texts) > 1 and len(texts[1]) > 8:
        return len(texts[0]) * len(texts[1]) // 1024
    if name in _STRIPPING and len(texts) > 1:
        return len(texts[0]) * len(texts[1]) // 256
    if name == "striptags" and texts:
        return texts[0].count("<") * len(texts[0]) // 256
    if name == "sum" and values and any(isinstance(value, (list, tuple)) for value in values[1:]):
        return weight * len(values[0]) // 16 if isinstance(values[0], (list, tuple)) else weight
    return 0


def estimate_operation(operator: str, left: Any, right: Any) -> int:
    """The size of what an operator would make; 0 where that cannot be large. Raises Runaway for huge numbers."""
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length()
        made = {"**": abs(right) * bits, "*": right.bit_length() + bits}.get(operator, max(bits, right.bit_length()))
        if made > MAX_BITS:
            raise WorkLimitExceeded(f"it would make a number of {made:,} bits; at most {MAX_BITS:,} are allowed")
        return 0
    if operator == "+":
        return _measure(left) + _measure(right)
    if operator == "*":
        return max(_measure(left), _measure(right)) * max(_count(left), _count(right))
    if operator == "%" and isinstance(left, str):
        return _estimate_format((left, right), max([0, *_list_numbers(right)]))
    return 0


def _measure(value: Any) -> int:
    return len(value) if isinstance(value, (str, bytes, list, tuple, dict)) else 0


def _count(value: Any) -> int:
    return abs(value) if isinstance(value, int) else 0


def _list_numbers(value: Any) -> list[int]:
    return [abs(item) for item in (value if isinstance(value, tuple) else (value,)) if isinstance(item, int)]


def _estimate_format(values: tuple[Any, ...], largest: int) -> int:
    """Widths that stand in the format or come as an argument, and each field as long as all arguments together."""
    template = values[0] if isinstance(values[0], str) else ""
    size = sum(int(width) for width in _WIDTH.findall(template))
    if _WIDTH_BY_ARGUMENT.search(template):
        size += largest
    fields = template.count("%") + template.count("{")
    return size + len(template) + fields * 16 * count_units(list(values[1:]), _MOST_UNITS)


def _estimate_join(values: tuple[Any, ...], _: int) -> int:
    items = next((value for value in values if isinstance(value, (list, tuple, dict, set, frozenset))), ())
    glue = next((len(value) for value in values if isinstance(value, str)), 0)
    return len(items) * glue


def _estimate_replace(values: tuple[Any, ...], _: int) -> int:
    texts = [str(value) for value in values[:3]]
    if len(texts) < 3:
        return 0
    text, old, new = texts
    return len(text) + text.count(old) * max(len(new) - len(old), 0)


def _estimate_lines(values: tuple[Any, ...], largest: int) -> int:
    text, wide = _split_width(values)
    return (text.count("\n") + 1) * max(largest, wide)


def _estimate_wrap(values: tuple[Any, ...], largest: int) -> int:
    text, glue = _split_width(values)
    lines = len(text) // max(largest, 1) + sum(map(text.count, " \t\n-")) + 1
    return len(text) + lines * max(glue, 1)


def _split_width(values: tuple[Any, ...]) -> tuple[str, int]:
    text = values[0] if values and isinstance(values[0], str) else ""
    return text, max((len(value) for value in values[1:] if isinstance(value, str)), default=0)


def _estimate_tabs(values: tuple[Any, ...], largest: int) -> int:
    return str(values[0]).count("\t") * (largest if len(values) > 1 else 8)


def _estimate_translation(values: tuple[Any, ...], _: int) -> int:
    table = values[1] if len(values) > 1 else None
    longest = max((_measure(value) for value in table.values()), default=1) if isinstance(table, dict) else 1
    return _measure(values[0]) * longest


def _estimate_indented(values: tuple[Any, ...], largest: int) -> int:
    return largest * count_units(values[0], _MOST_UNITS) if largest else 0


_ESTIMATES: dict[str, Callable[[tuple[Any, ...], int], int]] = {
    "format": _estimate_format,
    "format_map": _estimate_format,
    "join": _estimate_join,
    "replace": _estimate_replace,
    "indent": _estimate_lines,
    "wordwrap": _estimate_wrap,
    "expandtabs": _estimate_tabs,
    "translate": _estimate_translation,
    "tojson": _estimate_indented,
    "dump": _estimate_indented,
}
