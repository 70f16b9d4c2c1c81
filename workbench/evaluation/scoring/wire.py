"""The frames between a bench's scoring and its process: four length bytes, then msgpack.

Knows nothing of the pipes' other ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, TypeVar

import msgspec

from workbench.evaluation.scorers import Evidence, Score

T = TypeVar("T")


READY = Score("", 0.0, "", "ready")
"""The first frame back: from now on the time of an answer is its scorer's."""


class Setup(msgspec.Struct, frozen=True):
    """The first frame: the bench's scorers and the folder their paths are resolved from."""

    specs: tuple[Any, ...]
    folder: str


class Job(msgspec.Struct, frozen=True):
    """Let the scorer at a place of the bench's list judge; answered by its Score."""

    scorer: int
    evidence: Evidence


_encoder = msgspec.msgpack.Encoder()


def pack(frame: Setup | Job | Score) -> bytes:
    """A frame's bytes, length included."""
    body = _encoder.encode(frame)
    return len(body).to_bytes(4, "little") + body


def read(stream: BinaryIO, kind: type[T]) -> Iterator[T]:
    """Every frame until the stream ends or breaks off. Raises msgspec.DecodeError for what is no such frame."""
    decoder = msgspec.msgpack.Decoder(kind)
    while (body := _read_body(stream)) is not None:
        yield decoder.decode(body)


def read_one(stream: BinaryIO, kind: type[T]) -> T | None:
    """The next frame alone; None at the stream's end."""
    body = _read_body(stream)
    return None if body is None else msgspec.msgpack.decode(body, type=kind)


def _read_body(stream: BinaryIO) -> bytes | None:
    head = stream.read(4)
    length = int.from_bytes(head, "little")
    body = stream.read(length) if len(head) == 4 else b""
    return body if len(head) == 4 and len(body) == length else None
