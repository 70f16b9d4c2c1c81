"""Verdicts: makes the verdict on an adapter of the open bench, in the background."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from workbench.errors import WorkbenchError
from workbench.runs.progress import RunEvent, RunProgress
from workbench.runs.session import Session
from workbench.training.contenders import VerdictRequest
from workbench.training.job import TrainingJob
from workbench.training.learning_curve import train_on_subsets
from workbench.training.verdict import Verdict
from workbench.training.verdict_run import StageStarted, VerdictFigures, VerdictRun
from workbench.tui.background_task import BackgroundTask
from workbench.tui.bench_runs import BenchRuns

MakeVerdictRun = Callable[[VerdictRequest, Callable[[RunEvent | StageStarted], None]], VerdictRun]

_STAGES = {
    "choosing": "choosing the best prompt on the validation split",
    "testing": "running the test split",
    "timing": "measuring latencies, one request at a time",
    "retention": "running the tasks to keep, without and with the adapter",
    "curve": "scoring the learning curve on the validation split",
}


class VerdictTask(BackgroundTask[Verdict]):
    """One verdict."""

    def __init__(self, make: MakeVerdictRun, wanted: VerdictRequest, counts: tuple[int, ...]) -> None:
        """counts: numbers of rows to train on as well, for the learning curve; the adapter then has to exist."""
        super().__init__("verdict")
        self.stage = "opening"
        self.wanted = wanted
        self._make, self._counts = make, counts

    def work(self) -> Verdict:
        run = self._make(self.wanted, self._on_event)
        if self._counts:
            run.check_curve()
            curve = train_on_subsets(
                run.manifest, self._counts, lambda stage: self.report(stage=stage), self._follow_job
            )
            run = self._make(self.wanted._replace(curve=curve), self._on_event)
        self.on_cancel(run.cancel)
        return run.judge()

    def _follow_job(self, job: TrainingJob) -> None:
        def stop() -> None:
            with contextlib.suppress(WorkbenchError):  # it may have ended meanwhile
                job.stop(keep=False)

        self.on_cancel(stop)

    def _on_event(self, event: RunEvent | StageStarted) -> None:
        if isinstance(event, StageStarted):
            self.report(stage=_STAGES[event.stage])
        elif isinstance(event, RunProgress):
            self.report(event)


class Verdicts:
    """The verdicts of one open bench. current: the last one."""

    def __init__(self, session: Session, runs: BenchRuns) -> None:
        self.session = session
        self.current: VerdictTask | None = None
        self._runs = runs

    @property
    def running(self) -> bool:
        return self.current is not None and self.current.running

    def make_task(self, wanted: VerdictRequest, counts: tuple[int, ...]) -> VerdictTask:
        """The current verdict from now on; the caller starts it."""
        self.current = VerdictTask(self._make, wanted, counts)
        return self.current

    def _make(self, wanted: VerdictRequest, on_event: Callable[[RunEvent | StageStarted], None]) -> VerdictRun:
        runs = self._runs
        return VerdictRun(
            wanted,
            self.session.settings,
            runs.pool,
            runs.store,
            on_event,
            VerdictFigures(
                lambda run: runs.figures.summarize(run).result(),
                lambda task, query: runs.figures.check_retention(task, query).result(),
            ),
        )
