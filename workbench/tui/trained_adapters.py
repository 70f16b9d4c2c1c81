"""TrainedAdapters: the registry as the screen uses it, and the regression check of an adapter on new cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.runs.bench import AdapterChoice
from workbench.runs.progress import RunEvent, RunProgress
from workbench.runs.session import Session
from workbench.training.registry import Registry
from workbench.training.regression_check import CheckContext, RegressionCheck, check_regression
from workbench.tui.background_task import BackgroundTask
from workbench.tui.bench_runs import BenchRuns


def name_adapter(choices: Sequence[AdapterChoice]) -> str:
    """The first adapter of panes: its name in the registry, else as it stands there; "" for none."""
    used = next((choice.adapter for choice in choices if choice.on), "")
    try:
        return Registry().find(used).name
    except WorkbenchError:
        return used


class RegressionTask(BackgroundTask[RegressionCheck]):
    """An adapter that answers the cases of a bench; cancelled, nothing is recorded."""

    def __init__(self, adapter: str, bench: Path, check: Callable[[RegressionTask], RegressionCheck]) -> None:
        super().__init__("regression check")
        self.adapter, self.bench, self._check = adapter, bench, check

    def work(self) -> RegressionCheck:
        return self._check(self)

    def on_event(self, event: RunEvent) -> None:
        if isinstance(event, RunProgress):
            self.report(event)


class TrainedAdapters:
    """The trained adapters. check: the last regression check."""

    def __init__(self, session: Session, runs: BenchRuns) -> None:
        self.session = session
        self.registry = Registry()
        self.check: RegressionTask | None = None
        self._runs = runs

    @property
    def checking(self) -> bool:
        return self.check is not None and self.check.running

    def make_check(self, name: str, bench: Path) -> RegressionTask:
        """Whether an adapter is as good as it was; the caller starts it."""
        runs, session = self._runs, self.session

        def check(task: RegressionTask) -> RegressionCheck:
            asking = CheckContext(
                session.settings,
                runs.pool,
                runs.store,
                task.on_event,
                lambda run: runs.figures.summarize(run).result(),
                lambda run: task.on_cancel(run.cancel),
            )
            return check_regression(name, bench, asking)

        self.check = RegressionTask(name, bench, check)
        return self.check
