"""The frames between a bench's scoring and its process, in msgpack.

A user's function may say as much as it likes: what it says is cut before it is sent. Knows nothing of the pipes' other
ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, TypeVar

import msgspec

from workbench.evaluation.local_code import LocalCode
from workbench.evaluation.scorers import Evidence, Score
from workbench.frames import LONGEST_DETAILS, FrameError, pack_frame, read_frame, shorten

T = TypeVar("T")

LONGEST_FRAME = 256 * 1024 * 1024
"""Bytes of an answer with all that is known of it."""

LONGEST_SCORE = 1024 * 1024
"""Bytes of a score."""

MOST_PARTS = 200


class Setup(msgspec.Struct, frozen=True):
    """The first frame: the bench's scorers, the folder their paths are resolved from, the code that was agreed to, and
    whether it may use the network."""

    specs: tuple[Any, ...]
    folder: str
    codes: tuple[LocalCode, ...] = ()
    network: bool = False


class Ready(msgspec.Struct, frozen=True):
    """The first frame back: from now on the time of an answer is its scorer's."""


class Job(msgspec.Struct, frozen=True):
    """Let the scorer at a place of the bench's list judge; answered by its Score."""

    scorer: int
    evidence: Evidence


_encoder = msgspec.msgpack.Encoder()


def pack(frame: Setup | Ready | Job | Score) -> bytes:
    """A frame's bytes. Raises FrameError for one that is too long, UnicodeEncodeError for half a character in an
    answer."""
    if isinstance(frame, Score):
        return pack_frame(_encoder.encode(bound_score(frame)), LONGEST_SCORE)
    return pack_frame(_encoder.encode(frame), LONGEST_FRAME)


def bound_score(score: Score) -> Score:
    """The score with texts as long as a person reads, each cut one saying so."""
    parts = score.parts
    if len(parts) > MOST_PARTS or any(len(name) > MOST_PARTS for name in parts):
        parts = {name[:MOST_PARTS]: parts[name] for name in list(parts)[:MOST_PARTS]}
    return msgspec.structs.replace(
        score,
        extracted=shorten(score.extracted),
        explanation=shorten(score.explanation),
        details=shorten(score.details, LONGEST_DETAILS),
        parts=parts,
    )


def read(stream: BinaryIO, kind: type[T], longest: int = LONGEST_FRAME) -> Iterator[T]:
    """Every frame until the stream ends or breaks off. Raises msgspec.DecodeError for what is no such frame."""
    decoder = msgspec.msgpack.Decoder(kind)
    while (body := _read_body(stream, longest)) is not None:
        yield decoder.decode(body)


def read_one(stream: BinaryIO, kind: type[T]) -> T | None:
    """The next frame alone; None at the stream's end."""
    return next(read(stream, kind), None)


def _read_body(stream: BinaryIO, longest: int) -> bytes | None:
    try:
        return read_frame(stream, longest)
    except FrameError:
        return None
