"""Journal: a training's events in a file, a JSON object a line, written by one process and read by any.

Knows nothing of what the events mean. A line that a killed process left torn is passed over, and what is written after
it begins on a line of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench.errors import FileError
from workbench.training.progress import JobEvent

_DECODER = msgspec.json.Decoder(JobEvent)
_POLL_SECONDS = 0.1
_CHUNK = 1 << 20


class Journal:
    """The writing end. Raises FileError when the file cannot be written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torn = path.exists() and path.stat().st_size > 0 and not _ends_line(path)
            self._stream = path.open("ab")
            if torn:
                self._put(b"\n")
        except OSError as error:
            raise self._explain(error) from error

    def write(self, event: JobEvent) -> None:
        """Append an event; readers see it at once."""
        try:
            self._put(msgspec.json.encode(event) + b"\n")
        except OSError as error:
            raise self._explain(error) from error

    def close(self) -> None:
        self._stream.close()

    def _put(self, line: bytes) -> None:
        self._stream.write(line)
        self._stream.flush()

    def _explain(self, error: OSError) -> FileError:
        return FileError(
            f"Cannot write {self._path}: {error.strerror}.",
            "Free some space; the job goes on from its last checkpoint.",
        )


class Page(NamedTuple):
    """Events, and where reading goes on."""

    events: tuple[JobEvent, ...]
    offset: int


def read_events(path: Path, offset: int = 0) -> Page:
    """The events from a place in the file on; a last line that is not whole yet is left for later."""
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            held = stream.read()
    except FileNotFoundError:
        return Page((), offset)
    whole = held.rfind(b"\n") + 1
    return Page(tuple(_decode(held[:whole])), offset + whole)


def follow_events(path: Path, alive: Callable[[], bool], poll_seconds: float = _POLL_SECONDS) -> Iterator[JobEvent]:
    """The events as they come, until nobody is left who could write one."""
    offset = 0
    while True:
        writing = alive()  # asked first: what it wrote before it ended is then read below
        page = read_events(path, offset)
        yield from page.events
        offset = page.offset
        if not writing:
            return
        if not page.events:
            time.sleep(poll_seconds)


def _decode(lines: bytes) -> Iterator[JobEvent]:
    for line in lines.splitlines():
        try:
            yield _DECODER.decode(line)
        except msgspec.DecodeError:
            continue


def _ends_line(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(-1, 2)
        return stream.read(1) == b"\n"
