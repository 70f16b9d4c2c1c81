"""Judging: a verdict in the making beside the screen.

A thread carries it out and keeps only the last of what it tells; whoever shows that looks a few times a second. Knows
nothing of widgets.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from workbench.errors import WorkbenchError
from workbench.evaluation.progress import RunEvent, RunProgress
from workbench.training.contest import Contest, StageBegan, Wanted
from workbench.training.curve import train_on_fewer
from workbench.training.job import Job
from workbench.training.verdict import Verdict

Make = Callable[[Wanted, Callable[[RunEvent | StageBegan], None]], Contest]

_STAGES = {
    "choosing": "choosing the best prompt on the validation split",
    "testing": "answering the test split",
    "timing": "measuring latencies, one answer at a time",
    "curve": "counting shots and rows on the validation split",
}


class Judging:
    """One verdict. version: counts what is new, so that a screen sees whether to draw."""

    def __init__(self, make: Make, wanted: Wanted, counts: tuple[int, ...]) -> None:
        """counts: numbers of rows to train on as well, for the learning curve. The adapter then has to be found."""
        self.wanted = wanted
        self.stage = "opening"
        self.progress: RunProgress | None = None
        self.verdict: Verdict | None = None
        self.error: WorkbenchError | None = None
        self.running = True
        self.cancelled = False
        self.version = 0
        self._make, self._counts = make, counts
        self._contest: Contest | None = None
        self._job: Job | None = None
        self._thread = threading.Thread(target=self._follow, name="verdict", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def cancel(self) -> None:
        """End it soon: the answers under way, or the training for the learning curve."""
        self.cancelled = True
        if self._contest is not None:
            self._contest.cancel()
        if self._job is not None:
            _end(self._job)

    def join(self, seconds: float) -> None:
        """Wait for the end of one that was cancelled."""
        self._thread.join(seconds)

    def _follow(self) -> None:
        try:
            contest = self._make(self.wanted, self._tell)
            if self._counts:
                contest.check_curve()
                made = train_on_fewer(contest.manifest, self._counts, self._say, self._take_job)
                self._job = None
                contest = self._make(self.wanted._replace(curve=made), self._tell)
            self._contest = contest
            if self.cancelled:  # before there was a contest to cancel
                contest.cancel()
            self.verdict = contest.judge()
        except WorkbenchError as error:
            self.error = error
        finally:
            self.running = False
            self.version += 1

    def _take_job(self, job: Job) -> None:
        self._job = job
        if self.cancelled:
            _end(job)

    def _say(self, text: str) -> None:
        self.stage, self.progress = text, None
        self.version += 1

    def _tell(self, event: RunEvent | StageBegan) -> None:
        if isinstance(event, StageBegan):
            self._say(_STAGES[event.stage])
        elif isinstance(event, RunProgress):
            self.progress = event
            self.version += 1


def _end(job: Job) -> None:
    with contextlib.suppress(WorkbenchError):  # it may have come to its end meanwhile
        job.stop(keep=False)
