"""Events in a stream of bytes: server-sent events, and JSON lines as Ollama sends them.

Bytes come in pieces that end anywhere, within a character too. A line that grows without end is refused.
Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST_LINE = 16 * 2**20
"""Bytes of a line, and of the data of one event."""

_END_OF_LINE = re.compile(rb"\r\n|\n|\r")


class LineTooLongError(ValueError):
    """A line, or an event, of more than LONGEST_LINE bytes."""


class LineReader:
    """Whole lines out of pieces, without their ends: \\n, \\r\\n or \\r."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._held = 0
        self._ended_in_return = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The lines that end within a piece. Raises LineTooLongError."""
        if self._ended_in_return and piece:
            piece = piece[1:] if piece.startswith(b"\n") else piece
            self._ended_in_return = False
        if not piece:
            return
        self._ended_in_return = piece.endswith(b"\r")
        *ended, rest = _END_OF_LINE.split(piece)
        for line in ended:
            self._hold(line)
            yield self._pop()
        self._hold(rest)

    def flush(self) -> Iterator[bytes]:
        """The last line, where the stream ends without an end of line."""
        if self._held:
            yield self._pop()

    def _hold(self, piece: bytes) -> None:
        self._held += len(piece)
        if self._held > LONGEST_LINE:
            raise LineTooLongError
        if piece:
            self._pieces.append(piece)

    def _pop(self) -> bytes:
        line, self._pieces, self._held = b"".join(self._pieces), [], 0
        return line


class EventReader:
    """The data of server-sent events; comments, names and ids are passed over."""

    def __init__(self) -> None:
        self._lines = LineReader()
        self._data: list[bytes] = []
        self._first = True

    def feed(self, piece: bytes) -> Iterator[str]:
        """The data of the events that end within a piece. Raises LineTooLongError."""
        for line in self._lines.feed(piece):
            yield from self._read(line)

    def flush(self) -> Iterator[str]:
        """The last event, where the stream ends without the empty line behind it."""
        for line in self._lines.flush():
            yield from self._read(line)
        yield from self._read(b"")

    def _read(self, line: bytes) -> Iterator[str]:
        if self._first:
            self._first, line = False, line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            if self._data:
                data, self._data = b"\n".join(self._data), []
                yield data.decode("utf-8", "replace")
            return
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            if sum(map(len, self._data)) > LONGEST_LINE:
                raise LineTooLongError


class JsonLineReader:
    """Each line that is not empty, as JSON lines have it."""

    def __init__(self) -> None:
        self._lines = LineReader()

    def feed(self, piece: bytes) -> Iterator[str]:
        """The lines that end within a piece. Raises LineTooLongError."""
        return (line.decode("utf-8", "replace") for line in self._lines.feed(piece) if line)

    def flush(self) -> Iterator[str]:
        return (line.decode("utf-8", "replace") for line in self._lines.flush() if line)
