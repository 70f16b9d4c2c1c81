"""Calculator: summaries worked out in a process of their own, so that whoever asks never waits for the libraries.

Questions go to the child's standard input, answers come from its standard output: four length bytes, then msgpack
(JSON has no word for a value that is not a number). Knows nothing of what is in a summary.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO

import msgspec

from workbench.errors import EngineError, WorkbenchError
from workbench.evaluation.summary import Summary, summarize_run

_START = "import sys; sys.path.append(sys.argv[1]); from workbench.evaluation.calculator import main; main()"


class Question(msgspec.Struct, frozen=True):
    """Which run of which store."""

    store: str
    run: str


class Answer(msgspec.Struct, frozen=True):
    """The figures, or what went wrong, in the parts of a WorkbenchError."""

    summary: Summary | None = None
    message: str = ""
    hint: str = ""


class Calculator:
    """One child, started for the first question; every method may be called from any thread."""

    def __init__(self, store: Path) -> None:
        self._store = str(store)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="calculator")
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._closed = False

    def summarize(self, run: str) -> Future[Summary]:
        """The figures of a run as they stand now; the future fails with a WorkbenchError."""
        return self._thread.submit(self._ask, Question(self._store, run))

    def close(self) -> None:
        """End the child; questions that wait are dropped."""
        with self._lock:
            self._closed = True
            child = self._child
        if child is not None:
            child.kill()
        self._thread.shutdown(wait=True, cancel_futures=True)
        if child is not None:
            _end(child)

    def _ask(self, question: Question) -> Summary:
        child = self._start()
        assert child.stdin is not None and child.stdout is not None
        with contextlib.suppress(OSError):  # the answer that does not come tells of it
            _write(child.stdin, question)
        body = _read(child.stdout)
        if body is None:
            self._child = None
            _end(child)
            raise EngineError("The process that works out the figures ended.", "It is started again for the next ones.")
        answer = msgspec.msgpack.decode(body, type=Answer)
        if answer.summary is None:
            raise WorkbenchError(answer.message, answer.hint)
        return answer.summary

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise EngineError("The figures are closed.", "Start the workbench again.")
            if self._child is None:
                root = str(Path(__file__).parents[2])
                self._child = subprocess.Popen(
                    # -P: a file in the working folder must not stand in for a module
                    [sys.executable, "-P", "-X", "utf8", "-c", _START, root],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            return self._child


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what was not written yet has nobody to read it
                pipe.close()


def main() -> None:
    """The child: answers until its input ends."""
    while (body := _read(sys.stdin.buffer)) is not None:
        _write(sys.stdout.buffer, _answer(body))


def _write(stream: IO[bytes], value: Question | Answer) -> None:
    body = msgspec.msgpack.encode(value)
    stream.write(len(body).to_bytes(4, "little") + body)
    stream.flush()


def _read(stream: IO[bytes]) -> bytes | None:
    """The next frame; None when the stream ends, in the middle of one too."""
    head = stream.read(4)
    length = int.from_bytes(head, "little")
    body = stream.read(length) if len(head) == 4 else b""
    return body if len(head) == 4 and len(body) == length else None


def _answer(body: bytes) -> Answer:
    try:
        question = msgspec.msgpack.decode(body, type=Question)
        return Answer(summarize_run(question.store, question.run))
    except WorkbenchError as error:
        return Answer(None, error.message, error.hint)
    except Exception as error:  # noqa: BLE001 - whoever asked must hear of it
        return Answer(None, f"The figures could not be worked out: {error!r}")
