"""Values: what typed files hold, as the texts that cells are made of.

Text is taken as it is; numbers, truth values, lists and objects become JSON; dates, times and durations become
ISO 8601.
"""

from __future__ import annotations

import base64
import datetime
import math
from decimal import Decimal
from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
_TEXTS = (str, bytes, datetime.date, datetime.time, datetime.timedelta, type(None))


def to_text(value: Any) -> str | None:
    """The text of a value; None for no value, which a number that is none (NaN) is too."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return _decode(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else None if math.isnan(value) else str(value)
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else None if value.is_nan() else str(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return _ENCODER.encode(value).decode().strip('"')
    return _ENCODER.encode(_plain(value)).decode()


def is_text(value: Any) -> bool:
    """Whether a value's text is all that there is to it: no number, truth value, list or object."""
    return isinstance(value, _TEXTS) or (isinstance(value, float) and not math.isfinite(value))


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
    if isinstance(value, (Decimal, float)) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return _decode(value) if isinstance(value, bytes) else value
