"""A worker's own end of the channel: the two pipes for frames alone, and an end of the process with its parent.

Whatever a library prints goes to standard error, where the parent keeps the last words.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Any, BinaryIO, Generic, TypeVar

from workbench.inference.worker.frames import FrameCodec, FrameError
from workbench.inference.worker.spawn import limit_resources

M = TypeVar("M")


class ParentChannel(Generic[M]):
    """The messages of the parent, and the replies to it."""

    def __init__(self, codec: FrameCodec[M], on_end: Callable[[], object] | None = None) -> None:
        """Claim standard input and output. on_end: called when the parent is gone, before the process ends."""
        self._codec = codec
        self._messages, self._replies = _claim_pipes()
        self._inbox: SimpleQueue[M] = SimpleQueue()
        self._on_end = on_end
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl+c belongs to the terminal's process
        limit_resources(RLIMIT_CORE=0)  # a crash must not write gigabytes of weights to disk

    def first(self) -> M:
        """The first message, read before there is a second thread; the process ends where there is none."""
        for message in self._read():
            return message
        self._exit()
        raise AssertionError

    def listen(self, on_message: Callable[[M], object] | None = None) -> None:
        """Take in messages on a thread of their own from now on. on_message: called there with each; the inbox of
        `receive` unless given.

        When the parent is gone, the process ends at once, even in the middle of native work: nobody is left to hear
        of it.
        """
        put = on_message or self._inbox.put
        threading.Thread(target=self._listen, args=(put,), name="messages", daemon=True).start()

    def receive(self, seconds: float | None = None) -> M | None:
        """The next message; None where none comes in time."""
        try:
            return self._inbox.get(timeout=seconds)
        except Empty:
            return None

    def send(self, reply: Any) -> None:
        self._replies.write(self._codec.pack(reply))
        self._replies.flush()

    def _listen(self, put: Callable[[M], object]) -> None:
        for message in self._read():
            put(message)
        self._exit()

    def _read(self) -> Iterator[M]:
        try:
            yield from self._codec.read(self._messages)
        except FrameError as error:
            print(error, file=sys.stderr)  # noqa: T201  standard error is where the parent looks for last words

    def _exit(self) -> None:
        if self._on_end:
            self._on_end()
        sys.stderr.flush()
        os._exit(0)


def _claim_pipes() -> tuple[BinaryIO, BinaryIO]:
    messages, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return os.fdopen(messages, "rb"), os.fdopen(replies, "wb")
