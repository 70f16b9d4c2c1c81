"""Frames: how values pass through a pipe between two processes: four length bytes, then msgpack of bounded size.

Frames are decoded strictly: one that is not exactly a value of the expected type is an error, never a guess. Paths go
as the bytes that the file system knows them by, whether these are UTF-8 or not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

import msgspec

T = TypeVar("T")

MAX_FRAME_BYTES = 256 * 1024 * 1024
"""A length above it is read as a torn stream, not as a request for memory."""

MAX_MESSAGE_CHARS = 4_000
"""Characters of a sentence for a person."""

MAX_DETAILS_CHARS = 40_000
"""Characters of what only an expert reads, such as a traceback."""

MAX_LINE_BYTES = 8_192
"""Bytes of a line of a child's stderr that are kept together."""


class FrameError(Exception):
    """A stream does not carry frames, or one is longer than may be; says what was expected and found."""


class TornFrameError(FrameError):
    """A stream ended inside a frame: whoever wrote it ended."""


class FrameCodec(Generic[T]):
    """One end of a pipe pair: packs what this side sends, reads what the other sends.

    received: the type, or the union of tagged types, of what comes in. prepare: changes a value before it is packed.
    """

    def __init__(
        self, received: Any, max_bytes: int = MAX_FRAME_BYTES, prepare: Callable[[Any], Any] = lambda value: value
    ) -> None:
        self._encoder = msgspec.msgpack.Encoder(enc_hook=_encode_path)
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(received, dec_hook=_decode_path)
        self._max_bytes = max_bytes
        self._prepare = prepare

    def pack(self, value: Any) -> bytes:
        """A frame's bytes, length included. Raises FrameError for one that is too long, UnicodeEncodeError for half a
        character in a text."""
        return pack_frame(self._encoder.encode(self._prepare(value)), MAX_FRAME_BYTES)

    def read(self, stream: BinaryIO) -> Iterator[T]:
        """Every value until the stream ends. Raises FrameError for a frame that is not one."""
        while (body := read_frame(stream, self._max_bytes)) is not None:
            try:
                yield self._decoder.decode(body)
            except msgspec.DecodeError as error:
                raise FrameError(f"expected a value of the protocol, found {body[:200]!r}: {error}") from error


def _encode_path(value: Any) -> bytes:
    if isinstance(value, Path):
        return os.fsencode(value)
    raise NotImplementedError(type(value))


def _decode_path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, bytes):
        return Path(os.fsdecode(value))
    raise NotImplementedError(kind)


def pack_frame(body: bytes, longest: int) -> bytes:
    """A frame's bytes. Raises FrameError for a body that nobody would read."""
    if len(body) > longest:
        raise FrameError(f"expected at most {longest:,} bytes, found {len(body):,}")
    return len(body).to_bytes(4, "little") + body


def read_frame(stream: BinaryIO, longest: int) -> bytes | None:
    """The next frame's body; None where the stream ends between two. Raises FrameError for anything else."""
    head = stream.read(4)
    if not head:
        return None
    length = int.from_bytes(head, "little")
    if len(head) < 4:
        raise TornFrameError(f"expected four length bytes, found {head!r} and the end")
    if length > longest:
        raise FrameError(f"expected a frame's length, at most {longest:,}, found {head!r}")
    body = stream.read(length)
    if len(body) < length:
        raise TornFrameError(f"the stream ended inside a frame: expected {length:,} bytes, found {len(body):,}")
    return body


def shorten(text: str, longest: int = MAX_MESSAGE_CHARS) -> str:
    """A text that a frame can hold: of a long one the beginning, with a word on how long it was; half characters, such
    as a file name that is not UTF-8 brings, are written as escapes."""
    if len(text) > longest:
        text = f"{text[:longest]}… [cut: {len(text):,} characters in all]"
    return text.encode("utf-8", "backslashreplace").decode()


def read_lines(stream: BinaryIO, longest: int = MAX_LINE_BYTES) -> Iterator[str]:
    """The lines of a child's stderr as they come; a long one comes in pieces, so that none takes much memory."""
    return (line.decode("utf-8", "replace").rstrip() for line in iter(lambda: stream.readline(longest), b""))
