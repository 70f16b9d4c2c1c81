"""A link to an engine in a process of its own, which may crash without harm.

The process gets none of the terminal: its input and output are pipes, it stands in a session of its own.
Knows nothing of which engine runs there.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
import traceback
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO, cast

from workbench import child_process
from workbench.engines.engine import Failure
from workbench.errors import EngineError
from workbench.frames import read_lines
from workbench.hosting.link import Ending
from workbench.hosting.wire import (
    Command,
    Count,
    Events,
    Open,
    Refused,
    Reply,
    Submit,
    Tokenize,
    Weigh,
    pack,
    read_replies,
)

LAST_WORDS = 60
"""Lines of the child's stderr that are kept for messages."""

_FROM_OUTSIDE = {number for name in ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT") if (number := getattr(signal, name, 0))}
"""Signals that a process does not bring upon itself; the system sends SIGKILL where memory runs out."""


class ProcessLink:
    """Link over a child process; see link.py."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._outbox: SimpleQueue[Command | None] = SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._last_words: deque[str] = deque(maxlen=LAST_WORDS)
        self._on_reply: Callable[[Reply], None] = lambda _: None
        self._on_end: Callable[[Ending], None] = lambda _: None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self, on_reply: Callable[[Reply], None], on_end: Callable[[Ending], None]) -> None:
        self._on_reply, self._on_end = on_reply, on_end
        self._spawn(self._run, "engine")

    def send(self, command: Command) -> None:
        self._outbox.put(command)

    def stop(self) -> None:
        """Kill the process: it holds nothing that is not held here as well."""
        self._stopping.set()
        if self._process:
            self._process.kill()

    def join(self, seconds: float) -> None:
        self._ended.wait(seconds)

    def _spawn(self, target: Callable[[], None], role: str) -> threading.Thread:
        thread = threading.Thread(target=target, name=f"{role} {self._name}", daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        try:
            ending = self._live()
        except OSError as error:
            ending = Ending(f"could not be started ({error.strerror})", "", from_outside=True)
        except Exception:  # noqa: BLE001  a defect on this side must not leave anyone waiting
            self.stop()
            ending = Ending("was stopped after a defect of the workbench", traceback.format_exc())
        if self._folder:
            child_process.remove_scratch(self._folder)
        self._on_end(ending)
        self._ended.set()

    def _live(self) -> Ending:
        self._folder = child_process.make_scratch()
        process = self._process = start_child(self._folder)
        if self._stopping.is_set():  # stop() came before there was a process to kill
            process.kill()
        stdin, stdout, stderr = (cast(BinaryIO, pipe) for pipe in (process.stdin, process.stdout, process.stderr))
        listener = self._spawn(lambda: self._last_words.extend(read_lines(stderr)), "stderr of")
        writer = self._spawn(lambda: self._write(stdin), "commands of")
        complaint = ""
        try:
            for reply in read_replies(stdout):
                self._on_reply(reply)
        except EngineError as error:
            complaint = error.message
            process.kill()
        self._outbox.put(None)
        code = process.wait()
        for thread in (listener, writer):
            thread.join(2)  # a grandchild may still hold the pipe
        for pipe in (stdin, stdout, stderr):
            with contextlib.suppress(OSError):
                pipe.close()
        words = [complaint, *self._last_words] if complaint else list(self._last_words)
        if self._stopping.is_set():
            return Ending("was stopped", "\n".join(words))
        return Ending(_describe(code), "\n".join(words), not complaint and -code in _FROM_OUTSIDE)

    def _write(self, stdin: BinaryIO) -> None:
        with contextlib.suppress(OSError, ValueError):  # the reader notices the end and tells of it
            while command := self._outbox.get():
                if frame := self._pack(command):
                    stdin.write(frame)
                    stdin.flush()

    def _pack(self, command: Command) -> bytes:
        """The command's bytes; none for one that cannot be sent, which is answered here instead."""
        try:
            return pack(command)
        except Exception as error:  # noqa: BLE001  whatever a value holds, its sender must hear of it
            if reply := _refuse(command, f"The request cannot be sent to the engine: {error}."):
                self._on_reply(reply)
            if isinstance(command, Open) and self._process:
                self._process.kill()  # it would wait for its first command for ever
            return b""


def start_child(folder: Path) -> subprocess.Popen[bytes]:
    """A new engine process that waits for its first command. folder: where it stands."""
    return subprocess.Popen(
        child_process.command("workbench.hosting.child"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        close_fds=True,
        env=child_process.environment(),
        cwd=folder,
    )


def _refuse(command: Command, message: str) -> Reply | None:
    hint = "Look for half characters in the text, or numbers that are too large in the settings."
    match command:
        case Submit(request) | Weigh(request):
            return Events((Failure(request.id, message, hint),))
        case Count(ticket) | Tokenize(ticket):
            return Refused(ticket, message, hint)
        case Open():
            return Refused(None, message, hint)
    return None


def _describe(code: int) -> str:
    if code >= 0:
        return f"ended by itself (exit code {code})"
    try:
        return f"was killed ({signal.Signals(-code).name})"
    except ValueError:
        return f"was killed (signal {-code})"
