"""Worker: this side of the scoring process. Starts it, hands it one answer at a time, ends it when it hangs.

An answer whose process was ended is judged again, within a bound. Whatever happens over there, each answer gets its
score: one that does not apply, with the reason, where there is none. Knows nothing of how anything is judged.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, BinaryIO, NamedTuple, cast

import msgspec

from workbench.child_process import command, make_scratch, minimal_environment, remove_scratch
from workbench.errors import ScorerError
from workbench.evaluation.local_code import LocalCode
from workbench.evaluation.permissions import NOTHING, Permissions
from workbench.evaluation.scorers import Evidence, Score, Scorer
from workbench.evaluation.scorers.scorer import Unscored
from workbench.evaluation.scoring.wire import LONGEST_SCORE, Job, Ready, Setup, pack, read, read_one
from workbench.frames import read_lines

_LAST_WORDS = 40
_START_SECONDS = 120.0
_LATE_SECONDS = 0.5
_SHORTEST_SECRET = 6
"""characters; a shorter value of a variable, such as `1` or `true`, says nothing and is in many a text"""

_PATIENCE = 3  # ends in a row after which a scorer is not tried again
_TRIES = {False: 2, True: 4}  # of one answer whose process ended by itself, or was ended by something else
_FROM_OUTSIDE = {signal.SIGTERM, signal.SIGINT, *(getattr(signal, name, 0) for name in ("SIGKILL", "SIGHUP"))}
Taker = Callable[[Score], None]


class _Task(NamedTuple):
    scorer: int
    evidence: Evidence
    taker: Taker


class Worker:
    """The scoring process of a bench, started for the first answer that needs it."""

    def __init__(
        self,
        specs: Sequence[Any],
        folder: Path,
        scorers: Sequence[Scorer],
        codes: Sequence[LocalCode] = (),
        permissions: Permissions = NOTHING,
    ) -> None:
        """codes: what the process may load of the user's own. permissions: what it may use.

        Raises ScorerError for a variable that is not set.
        """
        self._setup = Setup(tuple(specs), str(folder.absolute()), tuple(codes), permissions.network)
        self._shown = _read_variables(permissions)
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
            task.taker(self._hide(score))
        if self._child:
            self._child.end()

    def _try(self, task: _Task) -> Score:
        try:
            return self._carry_out(task)
        except Exception as error:  # noqa: BLE001  whatever it is, someone waits for a score
            return self._lack(task.scorer, f"The answer could not be judged: {error}")

    def _hide(self, score: Score) -> Score:
        """The score with the names of variables for their values: what is stored and reported holds no key."""
        texts = {key: getattr(score, key) for key in ("extracted", "explanation", "details")}
        for name, value in self._shown.items():
            if len(value) >= _SHORTEST_SECRET:
                texts = {key: text.replace(value, f"[{name}]") for key, text in texts.items()}
        return msgspec.structs.replace(score, **texts)

    def _carry_out(self, task: _Task) -> Score:
        frame = pack(Job(task.scorer, task.evidence))
        tried = 0
        while True:
            child = self._start()
            tried += 1
            score = self._ask(child, frame, task.scorer)
            if score is not None:
                return score
            killed = child.was_killed()
            if self._closed or tried >= _TRIES[killed]:
                reason = f"It brought its process down ({child.describe_end()})."
                return self._lose(task.scorer, f"{reason[:-1]}, {tried} times." if tried > 1 else reason, "lost")
            self._drop()

    def _ask(self, child: _Child, frame: bytes, scorer: int) -> Score | None:
        """The score, or one that tells why there is none; None where the process ended."""
        try:
            if not child.wait_until_ready(_START_SECONDS):
                return None
        except Empty:
            return self._lose(scorer, f"The process for scoring did not start within {_START_SECONDS:g} s.", "lost")
        limit = self._scorers[scorer].time_limit_seconds
        try:
            score = child.ask(frame, limit)
        except Empty:
            if child.is_stopped():
                child.kill()  # by somebody else, so that its time ran out: another one tries
                return None
            return self._lose(scorer, f"It took more than {limit:g} s on this answer and was stopped.", "error")
        if score is not None:
            self._ends[scorer] = 0
        return score

    def _start(self) -> _Child:
        child = self._child
        if child is None:
            child = _Child(self._setup, tuple(self._shown))
            with self._lock:
                self._child = child
                if self._closed:
                    child.kill()
        return child

    def _lose(self, scorer: int, reason: str, unscored: Unscored) -> Score:
        """The process is of no more use; the next answer gets a new one."""
        words = self._drop()
        if self._closed:
            return self._lack(scorer, "The scoring was closed.")
        self._ends[scorer] += 1
        return self._lack(scorer, reason, words, unscored)

    def _drop(self) -> str:
        """End the process; its last words."""
        child, self._child = self._child, None
        return child.end() if child else ""

    def _lack(self, scorer: int, reason: str, details: str = "", unscored: Unscored = "lost") -> Score:
        return Score(self._scorers[scorer].name, 0.0, "", reason, False, details, unscored=unscored)


def _read_variables(permissions: Permissions) -> dict[str, str]:
    """The variables that a process may see. Raises ScorerError for one that is not set."""
    for name in permissions.environment:
        if name not in os.environ:
            raise ScorerError(
                f"python: environment: expected {name} to be set; it is not.",
                f"Set it (export {name}=…) before you start, or take it out of the scorer's options.",
            )
    return {name: os.environ[name] for name in permissions.environment}


class _Child:
    """One incarnation of the process."""

    def __init__(self, setup: Setup, variables: Sequence[str]) -> None:
        """variables: those of the environment that it sees beside the usual ones."""
        self._folder = make_scratch()
        self._process = subprocess.Popen(
            command("workbench.evaluation.scoring.child"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=minimal_environment(variables, TMPDIR=str(self._folder)),
            cwd=self._folder,
        )
        self._scores: SimpleQueue[Ready | Score | None] = SimpleQueue()
        self._words: deque[str] = deque(maxlen=_LAST_WORDS)
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._read, self._listen)]
        for thread in self._threads:
            thread.start()
        self._ready = False
        self._write(pack(setup))

    def wait_until_ready(self, seconds: float) -> bool:
        """Whether it takes answers; False when it ended. Raises Empty when it does not begin in time."""
        if not self._ready:
            said = self._scores.get(timeout=seconds)
            if isinstance(said, Ready):
                self._ready = True
        return self._ready

    def ask(self, frame: bytes, seconds: float) -> Score | None:
        """The score; None when the process ended instead. Raises Empty when it takes longer."""
        self._write(frame)
        try:
            said = self._scores.get(timeout=seconds)
        except Empty:  # this process may itself have been stopped for so long, with the score on its way
            said = self._scores.get(timeout=_LATE_SECONDS)
        return said if isinstance(said, Score) else None

    def kill(self) -> None:
        self._process.kill()

    def is_stopped(self) -> bool:
        """Whether a signal holds it, so that it takes time and does nothing."""
        import psutil

        try:
            stopped: bool = psutil.Process(self._process.pid).status() == psutil.STATUS_STOPPED
        except psutil.Error:
            return False
        return stopped

    def was_killed(self) -> bool:
        """Whether something else ended it, and not what it did."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return -self._process.wait(5) in _FROM_OUTSIDE
        return False

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
        remove_scratch(self._folder)
        return "\n".join(self._words)

    def _write(self, frame: bytes) -> None:
        stdin = cast(BinaryIO, self._process.stdin)
        with contextlib.suppress(OSError):  # the reader notices the end and tells of it
            stdin.write(frame)
            stdin.flush()

    def _read(self) -> None:
        try:
            stdout = cast(BinaryIO, self._process.stdout)
            if ready := read_one(stdout, Ready):
                self._scores.put(ready)
                for score in read(stdout, Score, LONGEST_SCORE):
                    self._scores.put(score)
        except msgspec.DecodeError as error:
            self._words.append(f"it wrote what is no score: {error}")
        finally:
            self._scores.put(None)

    def _listen(self) -> None:
        self._words.extend(read_lines(cast(BinaryIO, self._process.stderr)))
