"""Worker: this side of the scoring process. Starts it, hands it one answer at a time, ends it when it hangs.

Knows nothing of how anything is judged. Whatever happens over there, each answer gets its score: one that does
not apply, with the reason, where there is none.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, BinaryIO, NamedTuple, cast

from workbench.evaluation.scorers import Evidence, Score, Scorer
from workbench.evaluation.scoring.wire import Job, Setup, pack, read

_START = "import sys; sys.path.append(sys.argv[1]); from workbench.evaluation.scoring.child import main; main()"
_LAST_WORDS = 40
_START_SECONDS = 120.0
_PATIENCE = 3  # ends in a row after which a scorer is not tried again
Taker = Callable[[Score], None]


class _Task(NamedTuple):
    scorer: int
    evidence: Evidence
    taker: Taker


class Worker:
    """The scoring process of a bench, started for the first answer that needs it."""

    def __init__(self, specs: Sequence[Any], folder: Path, scorers: Sequence[Scorer]) -> None:
        self._setup = Setup(tuple(specs), str(folder.absolute()))
        self._scorers = tuple(scorers)
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._child: _Child | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._ends: Counter[int] = Counter()

    def judge(self, scorer: int, evidence: Evidence, taker: Taker) -> None:
        """Let the scorer at a place judge; the taker gets its score, on a thread of the worker's."""
        with self._lock:
            if not self._closed:
                self._tasks.put(_Task(scorer, evidence, taker))
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="scoring", daemon=True)
                    self._thread.start()
                return
        taker(self._lack(scorer, "The scoring was closed."))

    def close(self) -> None:
        """End the process; what waits gets scores that do not apply."""
        with self._lock:
            self._closed = True
            thread, child = self._thread, self._child
        self._tasks.put(None)
        if child:
            child.kill()
        if thread and thread is not threading.current_thread():
            thread.join(5)

    def _run(self) -> None:
        while task := self._tasks.get():
            if self._closed:
                score = self._lack(task.scorer, "The scoring was closed.")
            elif self._ends[task.scorer] >= _PATIENCE:
                score = self._lack(task.scorer, f"It ended badly {_PATIENCE} times in a row and is not tried again.")
            else:
                score = self._try(task)
            task.taker(score)
        if self._child:
            self._child.end()

    def _try(self, task: _Task) -> Score:
        try:
            return self._carry_out(task)
        except Exception as error:  # noqa: BLE001  whatever it is, someone waits for a score
            return self._lack(task.scorer, f"The answer could not be judged: {error}")

    def _carry_out(self, task: _Task) -> Score:
        frame = pack(Job(task.scorer, task.evidence))
        child = self._start()
        if not child.wait_until_ready(_START_SECONDS):
            return self._lose(task.scorer, "The process for scoring could not be started.")
        limit = self._scorers[task.scorer].time_limit_seconds
        try:
            score = child.ask(frame, limit)
        except Empty:
            return self._lose(task.scorer, f"It took more than {limit:g} s on this answer and was stopped.")
        if score is None:
            return self._lose(task.scorer, f"It brought its process down ({child.describe_end()}).")
        self._ends[task.scorer] = 0
        return score

    def _start(self) -> _Child:
        child = self._child
        if child is None:
            child = _Child(self._setup)
            with self._lock:
                self._child = child
                if self._closed:
                    child.kill()
        return child

    def _lose(self, scorer: int, reason: str) -> Score:
        """The process is of no more use; the next answer gets a new one."""
        child, self._child = self._child, None
        words = child.end() if child else ""
        if self._closed:
            return self._lack(scorer, "The scoring was closed.")
        self._ends[scorer] += 1
        return self._lack(scorer, reason, words)

    def _lack(self, scorer: int, reason: str, details: str = "") -> Score:
        return Score(self._scorers[scorer].name, 0.0, "", reason, applies=False, details=details)


class _Child:
    """One incarnation of the process."""

    def __init__(self, setup: Setup) -> None:
        root = str(Path(__file__).parents[3])
        self._process = subprocess.Popen(
            # -P: a file in the working folder must not stand in for a module
            [sys.executable, "-P", "-X", "utf8", "-X", "faulthandler", "-c", _START, root],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "TERM": "dumb"},
        )
        self._scores: SimpleQueue[Score | None] = SimpleQueue()
        self._words: deque[str] = deque(maxlen=_LAST_WORDS)
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._read, self._listen)]
        for thread in self._threads:
            thread.start()
        self._ready = False
        self._write(pack(setup))

    def wait_until_ready(self, seconds: float) -> bool:
        """Whether it takes answers; False when it ended, or did not begin in time."""
        if not self._ready:
            with contextlib.suppress(Empty):
                self._ready = self._scores.get(timeout=seconds) is not None
        return self._ready

    def ask(self, frame: bytes, seconds: float) -> Score | None:
        """The score; None when the process ended instead. Raises Empty when it takes longer."""
        self._write(frame)
        return self._scores.get(timeout=seconds)

    def kill(self) -> None:
        self._process.kill()

    def describe_end(self) -> str:
        """How it ended by itself."""
        try:
            code = self._process.wait(5)  # its output has ended already
        except subprocess.TimeoutExpired:
            return "it closed its output"
        return f"exit code {code}" if code >= 0 else f"killed by signal {-code}"

    def end(self) -> str:
        """Kill it and whatever it started; its last words."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join(2)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError):
                cast(BinaryIO, pipe).close()
        return "\n".join(self._words)

    def _write(self, frame: bytes) -> None:
        stdin = cast(BinaryIO, self._process.stdin)
        with contextlib.suppress(OSError):  # the reader notices the end and tells of it
            stdin.write(frame)
            stdin.flush()

    def _read(self) -> None:
        try:
            for score in read(cast(BinaryIO, self._process.stdout), Score):
                self._scores.put(score)
        finally:
            self._scores.put(None)

    def _listen(self) -> None:
        for line in cast(BinaryIO, self._process.stderr):
            self._words.append(line.decode("utf-8", "replace").rstrip())
