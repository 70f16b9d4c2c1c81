"""Values: what typed files hold, as the texts that cells are made of.

Text is taken as it is; numbers, truth values, lists and objects become JSON; dates become ISO 8601.
"""

from __future__ import annotations

import base64
import datetime
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec


def to_text(value: Any) -> str | None:
    """The text of a value; None for no value."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return _decode(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else None if math.isnan(value) else str(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return msgspec.json.encode(_plain(value), enc_hook=str).decode()


def make_namer(names: tuple[str, ...]) -> Callable[[Any], str | None]:
    """Turns the number of a class into its name; -1 is no class."""

    def name(value: Any) -> str | None:
        if isinstance(value, int) and -1 <= value < len(names):
            return names[value] if value >= 0 else None
        return to_text(value)

    return name


def _decode(value: bytes) -> str:
    """Older files keep text as bytes; what is no text is written as base64."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return _decode(value) if isinstance(value, bytes) else value if not isinstance(value, Decimal) else str(value)
