"""Calculator: figures worked out in a process of their own, so that whoever asks never waits for the libraries.

Questions go to the child's standard input, answers come from its standard output: four length bytes, then msgpack
(JSON has no word for a value that is not a number). Knows nothing of what the figures mean.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, BinaryIO, Literal, TypeVar, cast

import msgspec

from workbench import child_process
from workbench.errors import EngineError, WorkbenchError
from workbench.evaluation.changes import RunComparison, compare_runs
from workbench.evaluation.summary import Summary, summarize_run
from workbench.evaluation.view import RunView
from workbench.evaluation.votes import Rating, Votes
from workbench.frames import FrameError, pack_frame, read_frame, shorten
from workbench.store.store import Store

T = TypeVar("T")

_LONGEST_FRAME = 256 * 1024 * 1024


class Question(msgspec.Struct, frozen=True):
    """What to work out of which run. other: an earlier run that it is held against."""

    what: Literal["summary", "ratings", "changes"]
    store: str
    run: str
    other: str = ""
    metric: str = ""


class Answer(msgspec.Struct, frozen=True):
    """The one that was asked for, or what went wrong, in the parts of a WorkbenchError."""

    summary: Summary | None = None
    ratings: tuple[Rating, ...] | None = None
    changes: RunComparison | None = None
    message: str = ""
    hint: str = ""


class Calculator:
    """One child, started for the first question; every method may be called from any thread."""

    def __init__(self, store: Path) -> None:
        self._store = str(store.absolute())
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="calculator")
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._folder = child_process.make_scratch()

    def summarize(self, run: str) -> Future[Summary]:
        """The figures of a run as they stand now; this and every other future may fail with a WorkbenchError."""
        return self._thread.submit(lambda: _given(self._ask(Question("summary", self._store, run)).summary))

    def rate(self, run: str) -> Future[tuple[Rating, ...]]:
        """The ratings that the votes on a run come to."""
        return self._thread.submit(lambda: _given(self._ask(Question("ratings", self._store, run)).ratings))

    def compare(self, run: str, earlier: str, metric: str = "") -> Future[RunComparison]:
        """What changed since an earlier run, by one metric, the first unless named."""
        question = Question("changes", self._store, run, earlier, metric)
        return self._thread.submit(lambda: _given(self._ask(question).changes))

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
        child_process.remove_scratch(self._folder)

    def _ask(self, question: Question) -> Answer:
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
        if answer.message:
            raise WorkbenchError(answer.message, answer.hint)
        return answer

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise EngineError("The figures are closed.", "Start the workbench again.")
            if self._child is None:
                self._child = subprocess.Popen(
                    child_process.command("workbench.evaluation.calculator"),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=child_process.environment(),
                    cwd=self._folder,
                    start_new_session=True,
                )
            return self._child


def _given(value: T | None) -> T:
    assert value is not None  # a child that has no answer says so in words
    return value


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
    stream.write(pack_frame(msgspec.msgpack.encode(value), _LONGEST_FRAME))
    stream.flush()


def _read(stream: IO[bytes]) -> bytes | None:
    """The next frame; None when the stream ends, in the middle of one too."""
    try:
        return read_frame(cast("BinaryIO", stream), _LONGEST_FRAME)
    except FrameError:
        return None


def _answer(body: bytes) -> Answer:
    try:
        return _work_out(msgspec.msgpack.decode(body, type=Question))
    except WorkbenchError as error:
        return Answer(message=shorten(error.message), hint=shorten(error.hint))
    except Exception as error:  # noqa: BLE001 - whoever asked must hear of it
        return Answer(message=shorten(f"The figures could not be worked out: {error!r}."), hint="Please report this.")


def _work_out(question: Question) -> Answer:
    if question.what == "summary":
        return Answer(summary=summarize_run(question.store, question.run))
    store = Store(Path(question.store))
    try:
        view = RunView(store, question.run)
        if question.what == "ratings":
            return Answer(ratings=Votes(store, view).ratings())
        return Answer(changes=compare_runs(RunView(store, question.other), view, question.metric))
    finally:
        store.close()
