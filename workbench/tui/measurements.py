"""MeasurementTask: versions of a variant on the bench's cases: what its examples, scale or wording do to the score."""

from __future__ import annotations

from collections.abc import Callable

from workbench.analysis.measurement_words import Measurement
from workbench.errors import WorkbenchError
from workbench.runs.bench import Bench
from workbench.runs.progress import RunProgress
from workbench.tui.background_task import BackgroundTask
from workbench.tui.bench_runs import BenchRuns


class MeasurementTask(BackgroundTask[str]):
    """One measurement; its result is a text."""

    def __init__(self, runs: BenchRuns, what: Measurement, variant: str, make: Callable[[], Bench]) -> None:
        """make: the bench with the versions of the variant; may be slow."""
        super().__init__(f"measure {what}")
        self.stage = "preparing"
        self._runs, self._what, self._variant, self._make = runs, what, variant, make

    def work(self) -> str:
        evaluation = self._runs.prepare_bench(self._make(), f"{self._what} of {self._variant}")
        self.on_cancel(evaluation.cancel)
        self.report(stage="answering")
        for event in evaluation.events():
            if isinstance(event, RunProgress):
                self.report(event)
        if self.cancelled:
            raise WorkbenchError("The measurement was cancelled.", "Answers so far are kept and reused.")
        self.report(stage="computing")
        return self._runs.figures.measure(self._what, evaluation.run, self._variant).result()
