"""The one way to a child process that answers messages: start it, send, receive, notice its end, stop and reap it.

The child gets none of the terminal: its input, output and errors are pipes, it stands in a session and a folder of its
own. What it writes to stderr is kept for the message about its end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, BinaryIO, Generic, NamedTuple, TypeVar, cast

from workbench.inference.worker import spawn
from workbench.inference.worker.frames import FrameCodec, FrameError, read_lines

R = TypeVar("R")

LAST_WORDS_LINES = 60
"""Lines of the child's stderr that are kept for messages."""

_FROM_OUTSIDE = {number for name in ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT") if (number := getattr(signal, name, 0))}
"""Signals that a process does not bring upon itself; the system sends SIGKILL where memory runs out."""

_END_SECONDS = 5.0
"""What a child may take to end once it has closed its output."""


class WorkerSpec(NamedTuple):
    """Which child to start. module: whose `main()` serves; arguments: its sys.argv[1:].

    environment: makes the variables that the child sees, told the folder it stands in.
    """

    module: str
    arguments: tuple[str, ...] = ()
    environment: Callable[[Path], Mapping[str, str]] = lambda _: spawn.environment()


class WorkerExit(NamedTuple):
    """How a child ended: a clause such as `was killed (SIGKILL)`, and its last words.

    external: something else ended it, and not what it did, so that it may well go better another time.
    code: as subprocess has it, None where it never ran or was stopped from here.
    """

    reason: str
    last_words: str = ""
    external: bool = False
    code: int | None = None


class WorkerProcess(Generic[R]):
    """One child, from its start to its end; a new one is another object.

    `on_reply` and `on_exit` are called on one thread, in order; `on_exit` once, last.
    """

    def __init__(self, spec: WorkerSpec, codec: FrameCodec[R], name: str) -> None:
        """codec: reads the child's replies. name: of the threads that serve it."""
        self._spec = spec
        self._codec = codec
        self._name = name
        self._outbox: SimpleQueue[bytes | None] = SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._last_words: deque[str] = deque(maxlen=LAST_WORDS_LINES)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self, on_reply: Callable[[R], None], on_exit: Callable[[WorkerExit], None]) -> None:
        """Begin; returns at once."""
        self._spawn_thread(lambda: self._run(on_reply, on_exit), "replies of")

    def send(self, message: Any) -> None:
        """Hand a message over; never waits, and does nothing once the child has ended.

        Raises FrameError for one that is too long, UnicodeEncodeError for half a character in a text.
        """
        self._outbox.put(self._codec.pack(message))

    def stop(self) -> None:
        """Kill it: it holds nothing that is not held here as well. Returns at once, `on_exit` follows."""
        self._stopping.set()
        if self._process:
            self._process.kill()

    def join(self, seconds: float) -> None:
        """Wait until `on_exit` was called, at most so long."""
        self._ended.wait(seconds)

    def _spawn_thread(self, target: Callable[[], None], role: str) -> threading.Thread:
        thread = threading.Thread(target=target, name=f"{role} {self._name}", daemon=True)
        thread.start()
        return thread

    def _run(self, on_reply: Callable[[R], None], on_exit: Callable[[WorkerExit], None]) -> None:
        try:
            with spawn.scratch() as folder:
                ended = self._live(folder, on_reply)
        except OSError as error:
            ended = WorkerExit(f"could not be started ({error.strerror})", external=True)
        except Exception:  # noqa: BLE001  a defect on this side must not leave anyone waiting
            ended = WorkerExit("was stopped after a defect of the workbench", traceback.format_exc())
        on_exit(ended)
        self._ended.set()

    def _live(self, folder: Path, on_reply: Callable[[R], None]) -> WorkerExit:
        process = self._process = _start(self._spec, folder)
        if self._stopping.is_set():  # stop() came before there was a process to kill
            process.kill()
        stdin, stdout, stderr = (cast(BinaryIO, pipe) for pipe in (process.stdin, process.stdout, process.stderr))
        threads = [
            self._spawn_thread(lambda: self._last_words.extend(read_lines(stderr)), "stderr of"),
            self._spawn_thread(lambda: self._write(stdin), "messages to"),
        ]
        complaint = ""
        try:
            for reply in self._codec.read(stdout):
                on_reply(reply)
        except FrameError as error:
            complaint = f"It wrote something that is not a frame: {error}."
            process.kill()
        finally:
            self._outbox.put(None)
            code = _reap(process)
            for thread in threads:
                thread.join(2)  # a grandchild may still hold the pipe
            for pipe in (stdin, stdout, stderr):
                with contextlib.suppress(OSError):
                    pipe.close()
        words = "\n".join([complaint, *self._last_words] if complaint else self._last_words)
        if self._stopping.is_set():
            return WorkerExit("was stopped", words)
        return WorkerExit(describe_exit(code), words, not complaint and -code in _FROM_OUTSIDE, code)

    def _write(self, stdin: BinaryIO) -> None:
        with contextlib.suppress(OSError, ValueError):  # the reader notices the end and tells of it
            while frame := self._outbox.get():
                stdin.write(frame)
                stdin.flush()


class WorkerEnded(Exception):
    """A child ended instead of replying."""

    def __init__(self, ended: WorkerExit) -> None:
        super().__init__(ended.reason)
        self.exit = ended


class BlockingWorker(Generic[R]):
    """A child that a waiting thread asks one thing at a time; it starts at once."""

    def __init__(self, spec: WorkerSpec, codec: FrameCodec[R], name: str) -> None:
        self._worker = WorkerProcess(spec, codec, name)
        self._replies: SimpleQueue[R | WorkerExit] = SimpleQueue()
        self._worker.start(self._replies.put, self._replies.put)

    @property
    def pid(self) -> int | None:
        return self._worker.pid

    def ask(self, message: Any, seconds: float | None = None) -> R:
        """The reply to a message. Raises WorkerEnded, TimeoutError, and what WorkerProcess.send raises."""
        self._worker.send(message)
        return self.receive(seconds)

    def send(self, message: Any) -> None:
        """Hand over a message whose reply nobody waits for yet; raises what WorkerProcess.send raises."""
        self._worker.send(message)

    def receive(self, seconds: float | None = None) -> R:
        """The next reply. Raises WorkerEnded and TimeoutError."""
        try:
            reply = self._replies.get(timeout=seconds)
        except Empty:
            raise TimeoutError from None
        if isinstance(reply, WorkerExit):
            self._replies.put(reply)  # whoever asks again is told so too
            raise WorkerEnded(reply)
        return reply

    def kill(self) -> None:
        """End it from another thread; whoever waits for a reply gets a WorkerEnded."""
        self._worker.stop()

    def end(self) -> WorkerExit:
        """Kill it with whatever it started, and wait for its end."""
        self._worker.stop()
        self._worker.join(_END_SECONDS + 5)
        while True:
            try:
                reply = self._replies.get_nowait()
            except Empty:
                return WorkerExit("was stopped")
            if isinstance(reply, WorkerExit):
                return reply


def describe_exit(code: int) -> str:
    """A clause about an exit code."""
    if code >= 0:
        return f"ended by itself (exit code {code})"
    try:
        return f"was killed ({signal.Signals(-code).name})"
    except ValueError:
        return f"was killed (signal {-code})"


def _start(spec: WorkerSpec, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        spawn.command(spec.module, *spec.arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        close_fds=True,
        env=dict(spec.environment(folder)),
        cwd=folder,
    )


def _reap(process: subprocess.Popen[bytes]) -> int:
    """Its exit code, once it and whatever it started are gone."""
    try:
        code = process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:  # it closed its output and goes on
        process.kill()
        code = process.wait()
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    return code
