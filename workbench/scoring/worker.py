"""This side of the scoring worker: hands it one answer at a time, ends it when it hangs, starts it again.

An answer whose process was ended is scored again, within a bound. Whatever happens over there, each answer gets its
score: one that does not apply, with the reason, where there is none.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

import msgspec

from workbench.errors import ScorerError
from workbench.inference.worker.process import BlockingWorker, WorkerEnded, WorkerExit, WorkerSpec
from workbench.inference.worker.spawn import minimal_environment
from workbench.scoring.local_code import LocalCode
from workbench.scoring.permissions import NOTHING, Permissions
from workbench.scoring.protocol import SCORING_REPLIES, ScoreReply, ScoreRequest, ScorerSetup, ScoringReply
from workbench.scoring.scorer import Score, Scorer, ScoringInput, Unscored

_START_SECONDS = 120.0
_LATE_SECONDS = 0.5
_SHORTEST_SECRET = 6
"""characters; a shorter value of a variable, such as `1` or `true`, says nothing and is in many a text"""

_PATIENCE = 3  # ends in a row after which a scorer is not tried again
_TRIES = {False: 2, True: 4}  # of one answer whose process ended by itself, or was ended by something else
R = TypeVar("R")
Taker = Callable[[Score], None]


class _Task(NamedTuple):
    scorer: int
    scoring_input: ScoringInput
    taker: Taker


class ScoringWorker:
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
        self._setup = ScorerSetup(tuple(specs), str(folder.absolute()), tuple(codes), permissions.network)
        self._shown = read_variables(permissions)
        self._scorers = tuple(scorers)
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._worker: BlockingWorker[ScoringReply] | None = None
        self._ready = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._ends: Counter[int] = Counter()
        self._last: dict[int, str] = {}
        """scorer -> why it ended badly the last time"""

    def judge(self, scorer: int, scoring_input: ScoringInput, taker: Taker) -> None:
        """Let the scorer at a place judge; the taker gets its score, on a thread of the worker's."""
        with self._lock:
            if not self._closed:
                self._tasks.put(_Task(scorer, scoring_input, taker))
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="scoring", daemon=True)
                    self._thread.start()
                return
        taker(self._lack(scorer, "The scoring was closed."))

    def close(self) -> None:
        """End the process; what waits gets scores that do not apply."""
        with self._lock:
            self._closed = True
            thread, worker = self._thread, self._worker
        self._tasks.put(None)
        if worker:
            worker.kill()
        if thread and thread is not threading.current_thread():
            thread.join(5)

    def _run(self) -> None:
        while task := self._tasks.get():
            if self._closed:
                score = self._lack(task.scorer, "The scoring was closed.")
            elif self._ends[task.scorer] >= _PATIENCE:
                reason = f"{self._last[task.scorer]} So it ended {_PATIENCE} times in a row; it is not tried again."
                score = self._lack(task.scorer, reason)
            else:
                score = self._try(task)
            task.taker(self._hide(score))
        self._drop()

    def _try(self, task: _Task) -> Score:
        try:
            return self._carry_out(task)
        except Exception as error:  # noqa: BLE001  whatever it is, someone waits for a score
            return self._lack(task.scorer, f"The answer could not be judged: {error}")

    def _hide(self, score: Score) -> Score:
        """The score with the names of variables for their values: what is stored and reported holds no key."""
        keys = "extracted", "explanation", "details"
        return msgspec.structs.replace(score, **{key: hide_values(getattr(score, key), self._shown) for key in keys})

    def _carry_out(self, task: _Task) -> Score:
        tried = 0
        while True:
            worker = self._start()
            tried += 1
            try:
                return self._ask(worker, ScoreRequest(task.scorer, task.scoring_input))
            except WorkerEnded as ended:
                if self._closed or tried >= _TRIES[ended.exit.external]:
                    times = f", {tried} times" if tried > 1 else ""
                    reason = f"It brought its process down: it {ended.exit.reason}{times}."
                    return self._lose(task.scorer, reason, "lost")
                self._drop()

    def _ask(self, worker: BlockingWorker[ScoringReply], request: ScoreRequest) -> Score:
        """The score, or one that tells why there is none. Raises WorkerEnded where the process ended."""
        if not self._ready:
            try:
                worker.receive(_START_SECONDS)
            except TimeoutError:
                message = f"The process for scoring did not start within {_START_SECONDS:g} s."
                return self._lose(request.scorer, message, "lost")
            self._ready = True
        limit = self._scorers[request.scorer].time_limit_seconds
        worker.send(request)
        try:
            reply = receive_in_time(worker, limit)
        except TimeoutError:
            message = f"It took more than {limit:g} s on this answer and was stopped."
            return self._lose(request.scorer, message, "error")
        assert isinstance(reply, ScoreReply)
        self._ends[request.scorer] = 0
        return reply.score

    def _start(self) -> BlockingWorker[ScoringReply]:
        if self._worker is None:
            spec = WorkerSpec("workbench.scoring.server", environment=self._environment)
            worker = BlockingWorker(spec, SCORING_REPLIES, "scoring")
            worker.send(self._setup)
            with self._lock:
                self._worker, self._ready = worker, False
                if self._closed:
                    worker.kill()
        return self._worker

    def _environment(self, folder: Path) -> dict[str, str]:
        return minimal_environment(tuple(self._shown), TMPDIR=str(folder))

    def _lose(self, scorer: int, reason: str, unscored: Unscored) -> Score:
        """The process is of no more use; the next answer gets a new one."""
        words = self._drop()
        if self._closed:
            return self._lack(scorer, "The scoring was closed.")
        self._ends[scorer] += 1
        self._last[scorer] = reason
        return self._lack(scorer, reason, words, unscored)

    def _drop(self) -> str:
        """End the process; its last words."""
        worker, self._worker = self._worker, None
        return worker.end().last_words if worker else ""

    def _lack(self, scorer: int, reason: str, details: str = "", unscored: Unscored = "lost") -> Score:
        return Score(self._scorers[scorer].name, 0.0, "", reason, False, details, unscored=unscored)


def receive_in_time(worker: BlockingWorker[R], seconds: float) -> R:
    """The reply to what was sent. Raises TimeoutError, and WorkerEnded also for a process that somebody stopped."""
    try:
        return worker.receive(seconds)
    except TimeoutError:
        try:  # this process may itself have been stopped for so long, with the reply on its way
            return worker.receive(_LATE_SECONDS)
        except TimeoutError:
            if _is_stopped(worker.pid):  # by somebody else, so that its time ran out: another one tries
                raise WorkerEnded(WorkerExit("was stopped by a signal", external=True)) from None
            raise


def hide_values(text: str, shown: dict[str, str]) -> str:
    """The text with the names of variables for their values."""
    for name, value in shown.items():
        if len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, f"[{name}]")
    return text


def read_variables(permissions: Permissions) -> dict[str, str]:
    """The variables that a process may see. Raises ScorerError for one that is not set."""
    for name in permissions.environment:
        if name not in os.environ:
            raise ScorerError(
                f"python: environment: expected {name} to be set; it is not.",
                f"Set it (export {name}=…) before you start, or take it out of `environment`.",
            )
    return {name: os.environ[name] for name in permissions.environment}


def _is_stopped(pid: int | None) -> bool:
    """Whether a signal holds the process, so that it takes time and does nothing."""
    import psutil

    try:
        stopped: bool = psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False
    return stopped
