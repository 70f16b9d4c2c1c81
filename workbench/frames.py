"""Frames: how values pass through a pipe between two processes: four length bytes, then a body of bounded size.

Knows nothing of what a body means.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

LONGEST_MESSAGE = 4_000
"""Characters of a sentence for a person."""

LONGEST_DETAILS = 40_000
"""Characters of what only an expert reads, such as a traceback."""

LONGEST_LINE = 8_192
"""Bytes of a line of a child's stderr that are kept together."""


class FrameError(Exception):
    """A stream does not carry frames, or one is longer than may be; says what was expected and found."""


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
    if len(head) < 4 or length > longest:
        raise FrameError(f"expected a frame's length, at most {longest:,}, found {head!r}")
    body = stream.read(length)
    if len(body) < length:
        raise FrameError(f"the stream ended inside a frame: expected {length:,} bytes, found {len(body):,}")
    return body


def shorten(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """A text that a frame can hold: of a long one the beginning, with a word on how long it was; half characters, such
    as a file name that is not UTF-8 brings, are written as escapes."""
    if len(text) > longest:
        text = f"{text[:longest]}… [cut: {len(text):,} characters in all]"
    return text.encode("utf-8", "backslashreplace").decode()


def read_lines(stream: BinaryIO, longest: int = LONGEST_LINE) -> Iterator[str]:
    """The lines of a child's stderr as they come; a long one comes in pieces, so that none takes much memory."""
    return (line.decode("utf-8", "replace").rstrip() for line in iter(lambda: stream.readline(longest), b""))
