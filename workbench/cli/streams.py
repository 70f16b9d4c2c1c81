"""The standard streams of the process: always open, with errors that can be reported.

A full disk or a closed pipe is an OutputError on stdout, and ignored on stderr, where it could not be reported.
Terminals stay as they are, since the screen draws on them in its own way, but a character that their encoding lacks is
escaped instead of ending the program.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, TextIO

from workbench.errors import OutputError


def guard_streams() -> None:
    """Call it once, before anything else is opened: a file would get the number of a stream that is closed, and be
    written into by whoever prints."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        _reserve(number)
        stream: TextIO | None = getattr(sys, name)
        if stream is not None and stream.isatty():
            if number and isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
                stream.reconfigure(errors="backslashreplace")
            continue
        if number == 0:
            guarded: TextIO = stream or os.fdopen(0, "r", encoding="utf-8", errors="replace")
        else:
            guarded = _rewrap(stream, number, _Output if number == 1 else _Quiet)
        setattr(sys, name, guarded)
        setattr(sys, f"__{name}__", guarded)


def drop_output() -> None:
    """What is still to be written to stdout is of no use to anybody: do not try it again at the end."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)


def _reserve(number: int) -> None:
    """Keep a closed stream's number from being given to a file. Writing to it fails as before."""
    try:
        os.fstat(number)
    except OSError:
        descriptor = os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
        if descriptor != number:
            os.dup2(descriptor, number)
            os.close(descriptor)


def _rewrap(stream: TextIO | None, number: int, kind: type[io.TextIOWrapper]) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):  # Python has none where it was closed
        buffer = _Closed() if number == 1 else io.BufferedWriter(io.FileIO(number, "w", closefd=False))
        return kind(buffer, encoding="utf-8", errors="backslashreplace", write_through=True)  # type: ignore[arg-type]
    more: dict[str, Any] = {"line_buffering": stream.line_buffering, "write_through": stream.write_through}
    encoding, errors = stream.encoding, stream.errors
    # half characters, such as file names that are not UTF-8 bring, are shown as escapes
    return kind(stream.detach(), encoding, "backslashreplace" if errors == "strict" else errors, **more)


class _Closed(io.RawIOBase):
    """A stdout that was closed before this program began."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raise OSError(errno.EBADF, "it is closed")


class _Output(io.TextIOWrapper):
    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            raise _explain(error) from error

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise _explain(error) from error


class _Quiet(io.TextIOWrapper):
    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            return


def _explain(error: OSError) -> OutputError:
    if error.errno == errno.EPIPE:
        return OutputError("Standard output was closed before everything was written.")
    reason = (error.strerror or str(error)).lower()
    return OutputError(f"Cannot write to standard output: {reason}.", "Runs are stored all the same: `workbench runs`.")
