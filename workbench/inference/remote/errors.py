"""What goes wrong between here and a server, in words, and whether trying again may help."""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from workbench.errors import EngineError

ErrorKind = Literal["unreachable", "busy", "failing", "broken", "loading", "key", "refused", "too_long"]
"""unreachable: nobody answers. busy: 429. failing: 5xx. broken: the answer broke off, or is none. loading: the model is
not ready. key: it wants one, or another. refused: what was asked is wrong. too_long: the prompt does not fit."""

_RETRIED: frozenset[ErrorKind] = frozenset({"unreachable", "busy", "failing", "broken", "loading"})
_LONGEST = 600
_TOO_LONG = ("exceed_context_size", "context length", "context_length", "context size", "maximum context", "too long")


class ServerError(EngineError):
    """A server did not do what it was asked.

    status: HTTP's; 0 where there was none. retry_after: seconds that the server asks to wait; None where it does not.
    final: the server says itself that trying again does not help.
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        hint: str = "",
        details: str = "",
        status: int = 0,
        retry_after: float | None = None,
        final: bool = False,
    ) -> None:
        super().__init__(message, hint, details)
        self.kind = kind
        self.status = status
        self.retry_after = retry_after
        self.final = final

    @property
    def retried(self) -> bool:
        """Whether it may go better another time."""
        return self.kind in _RETRIED and not self.final


def explain_status(address: str, key_variable: str, status: int, body: Any, headers: Mapping[str, str]) -> ServerError:
    """The error for an answer that is not 200. body: as JSON, or its text; without the key in it."""
    reason = find_message(body)
    more = f": {reason}" if reason else ""
    final = headers.get("x-should-retry") == "false"
    details = "" if isinstance(body, str) else json.dumps(body, ensure_ascii=False)[:4000]
    if 300 <= status < 400:
        return ServerError(
            "refused",
            f"{address} redirects to another address, which is not followed (status {status}).",
            "Name the address that it redirects to.",
            status=status,
        )
    if status in (401, 403):
        return ServerError(
            "key",
            f"{address} asks for a key, or refuses the one it was given (status {status}){more}.",
            f"Put the key into the environment variable {key_variable}, or name another one as `key_env`.",
            details,
            status,
        )
    if status == 429:
        hint = "It allows fewer requests than were sent; lower `concurrency` of the model, or try again later."
        return ServerError("busy", f"{address} is busy (status 429){more}.", hint, details, status, final=final)
    if status == 503 and "load" in reason.lower():
        return ServerError("loading", f"{address} is still loading its model.", "Try again in a moment.", status=status)
    if status in (408, 409, 425) or (status >= 500 and status != 501 and not is_too_long(reason, body)):
        hint = "See the server's own log."
        return ServerError("failing", f"{address} failed (status {status}){more}.", hint, details, status, final=final)
    if is_too_long(reason, body):
        return ServerError(
            "too_long",
            f"The prompt does not fit the context of {address}{more}.",
            "Switch examples off, shorten the prompt, lower max_tokens, or start the server with a larger context.",
            details,
            status,
        )
    missing = "Look whether it has this model, and whether its kind is `dialect` of the model."
    hint = missing if status == 404 else "Change what it names; fields in `server_defaults` of the model are not sent."
    return ServerError("refused", f"{address} refused the request (status {status}){more}.", hint, details, status)


def explain_event(address: str, error: Any) -> ServerError:
    """The error that a server sends in the middle of an answer."""
    reason = find_message({"error": error})
    code = error.get("code") if isinstance(error, dict) else None
    if is_too_long(reason, error):
        return ServerError("too_long", f"The prompt does not fit the context of {address}: {reason}.", "Shorten it.")
    kind: ErrorKind = "refused" if isinstance(code, int) and 400 <= code < 500 and code != 429 else "failing"
    return ServerError(
        kind, f"{address} broke off its answer: {reason or 'without a reason'}.", "See the server's log."
    )


def find_message(body: Any) -> str:
    """What a server says of an error, on one line without a full stop; "" where it says nothing."""
    reason = body
    for key in ("error", "message", "detail", "msg"):
        while isinstance(reason, dict) and reason.get(key):
            reason = reason[key]
    if isinstance(reason, list) and reason:
        return find_message(reason[0])
    text = reason if isinstance(reason, str) else "" if reason is None or reason == {} else json.dumps(reason)
    line = " ".join(text.split())
    return (line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…").rstrip(".")


def is_too_long(reason: str, body: Any) -> bool:
    """Whether an error says that the prompt is longer than the context."""
    error = body.get("error", body) if isinstance(body, dict) else {}
    named = f"{error.get('type', '')} {error.get('code', '')}" if isinstance(error, dict) else ""
    return any(word in f"{reason} {named}".lower() for word in _TOO_LONG)


def read_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds that a server asks to wait, by `retry-after-ms` or `Retry-After` (seconds, or a date).

    now: seconds since the epoch.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    if text is None or (seconds := _number(text)) is not None:
        return None if text is None else seconds
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
