"""The frames that pass between a host and its engine's process, in msgpack.

Both directions are tagged unions, decoded strictly: a frame that is not exactly one of them is an error, never a
guess. Paths go as the bytes that the file system knows them by, whether these are UTF-8 or not. What an engine says of
a failure is cut where it is long: libraries quote the files that they cannot read. Knows nothing of pipes' other ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec

from workbench.engines.engine import EngineStatus, Failure, Outcome, Request, Tokenized, Weighing
from workbench.errors import EngineError
from workbench.frames import LONGEST_DETAILS, FrameError, pack_frame, read_frame, shorten
from workbench.models.reference import Model, ModelInfo

LONGEST_FRAME = 256 * 1024 * 1024
"""Bytes; a length above it is read as a torn stream, not as a request for memory."""


class _Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Anything that is sent."""


class Open(_Frame, frozen=True, tag="open"):
    """The first command: load this model. threads 0 leaves the number to the engine."""

    model: Model
    threads: int = 0
    max_context_tokens: int = 8192
    parked_bytes: int = -1
    """memory for prefixes that nobody needs just now; below 0 leaves it to the engine"""
    step_seconds: float = 0.0
    """what a step may take while someone looks on; 0 leaves it to the engine"""


class Submit(_Frame, frozen=True, tag="submit"):
    """Answer a request; its events come under its own id."""

    request: Request


class Cancel(_Frame, frozen=True, tag="cancel"):
    """End a request; unknown ids are ignored."""

    request: int


class Count(_Frame, frozen=True, tag="count"):
    """Count prompt tokens; answered by Counted or Refused with the same ticket."""

    ticket: int
    requests: tuple[Request, ...]


class Tokenize(_Frame, frozen=True, tag="tokenize"):
    """Show a request as the model would see it; answered by Shown or Refused with the same ticket."""

    ticket: int
    request: Request


class Weigh(_Frame, frozen=True, tag="weigh"):
    """Weigh answers; the end comes among the events, under the weighing's own id."""

    weighing: Weighing


Command = Open | Submit | Cancel | Count | Tokenize | Weigh


class Loading(_Frame, frozen=True, tag="loading"):
    """How far the load is, from 0 to 1; None where that is not known."""

    fraction: float | None = None


class Opened(_Frame, frozen=True, tag="opened"):
    """The model is loaded."""

    info: ModelInfo


class Events(_Frame, frozen=True, tag="events"):
    """What one step brought."""

    events: tuple[Outcome, ...]


class Counted(_Frame, frozen=True, tag="counted"):
    """Prompt tokens, one number a request."""

    ticket: int
    counts: tuple[int, ...]


class Shown(_Frame, frozen=True, tag="shown"):
    """A request as the model would see it."""

    ticket: int
    tokenized: Tokenized


class Refused(_Frame, frozen=True, tag="refused"):
    """A command failed; ticket None means that the model could not be loaded."""

    ticket: int | None
    message: str
    hint: str = ""
    details: str = ""


class Told(_Frame, frozen=True, tag="told"):
    """What the engine is doing; unasked, a few times a second at most."""

    status: EngineStatus


Reply = Told | Loading | Opened | Events | Counted | Shown | Refused

T = TypeVar("T")
M = TypeVar("M", Refused, Failure)


def _encode_path(value: Any) -> bytes:
    if isinstance(value, Path):
        return os.fsencode(value)
    raise NotImplementedError(type(value))


def _decode_path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, bytes):
        return Path(os.fsdecode(value))
    raise NotImplementedError(kind)


_encoder = msgspec.msgpack.Encoder(enc_hook=_encode_path)
_commands: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command, dec_hook=_decode_path)
_replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply, dec_hook=_decode_path)


def pack(frame: Command | Reply) -> bytes:
    """A frame's bytes, length included. Raises FrameError for one that is too long, UnicodeEncodeError for one that
    holds half a character in a text that may not be changed."""
    return pack_frame(_encoder.encode(_bound(frame)), LONGEST_FRAME)


def _bound(frame: Command | Reply) -> Command | Reply:
    """The frame with every sentence about a failure as long as a person reads."""
    match frame:
        case Refused():
            return _shorten(frame)
        case Events(events) if any(isinstance(event, Failure) for event in events):
            return Events(tuple(_shorten(event) if isinstance(event, Failure) else event for event in events))
    return frame


def _shorten(told: M) -> M:
    message, hint, details = shorten(told.message), shorten(told.hint), shorten(told.details, LONGEST_DETAILS)
    return msgspec.structs.replace(told, message=message, hint=hint, details=details)


def read_commands(stream: BinaryIO) -> Iterator[Command]:
    """Every command until the stream ends. Raises EngineError for a frame that is not one."""
    return _read(stream, _commands)


def read_replies(stream: BinaryIO) -> Iterator[Reply]:
    """Every reply until the stream ends. Raises EngineError for a frame that is not one."""
    return _read(stream, _replies)


def _read(stream: BinaryIO, decoder: msgspec.msgpack.Decoder[T]) -> Iterator[T]:
    while (body := _read_body(stream)) is not None:
        try:
            yield decoder.decode(body)
        except msgspec.DecodeError as error:
            raise EngineError(
                f"The engine's pipe carried something that is not a frame: {error}.",
                "Run again; the engine is started anew.",
                repr(body[:200]),
            ) from error


def _read_body(stream: BinaryIO) -> bytes | None:
    try:
        return read_frame(stream, LONGEST_FRAME)
    except FrameError as error:
        raise EngineError(f"The engine's pipe is torn: {error}.", "Run again; the engine is started anew.") from error
