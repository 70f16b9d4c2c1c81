"""Adapters: the registry as the screen uses it, and an adapter that is being asked again on new cases.

Knows nothing of widgets.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.evaluation.bench import AdapterChoice
from workbench.evaluation.progress import RunEvent, RunProgress
from workbench.evaluation.run import Evaluation
from workbench.evaluation.session import Session
from workbench.training.fall import Asking, Fall, measure_fall
from workbench.training.registry import Registry
from workbench.tui.evaluations import Evaluations

LEAVE_SECONDS = 2.0


def find_trained(choices: Sequence[AdapterChoice]) -> str:
    """The first of a pane's adapters that was trained here; "" for none."""
    registry = Registry()
    for choice in choices:
        try:
            return registry.find(choice.adapter).name
        except WorkbenchError:
            continue
    return ""


class Drifting:
    """An adapter that answers new cases, beside the screen. version: counts what is new."""

    def __init__(self, adapter: str, bench: Path, ask: Callable[[Drifting], Fall]) -> None:
        self.adapter, self.bench = adapter, bench
        self.progress: RunProgress | None = None
        self.found: Fall | None = None
        self.error: WorkbenchError | None = None
        self.running = True
        self.cancelled = False
        self.version = 0
        self._run: Evaluation | None = None
        self._thread = threading.Thread(target=self._follow, args=(ask,), name="drift", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def cancel(self) -> None:
        """End it soon; nothing is recorded."""
        self.cancelled = True
        if self._run is not None:
            self._run.cancel()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def tell(self, event: RunEvent) -> None:
        if isinstance(event, RunProgress):
            self.progress = event
            self.version += 1

    def take(self, run: Evaluation) -> None:
        self._run = run
        if self.cancelled:  # before there was a run to cancel
            run.cancel()

    def _follow(self, ask: Callable[[Drifting], Fall]) -> None:
        try:
            self.found = ask(self)
        except WorkbenchError as error:
            self.error = error
        finally:
            self.running = False
            self.version += 1


class Adapters:
    """The adapters that were trained here, beside an open bench."""

    def __init__(self, session: Session, evaluations: Evaluations) -> None:
        self.session = session
        self.registry = Registry()
        self.drifting: Drifting | None = None
        self._evaluations = evaluations

    def measure(self, name: str, bench: Path) -> Drifting:
        """Ask an adapter the cases of a bench, beside the screen."""
        own, session = self._evaluations, self.session

        def ask(drifting: Drifting) -> Fall:
            figures = lambda run: own.figures.summarize(run).result()  # noqa: E731
            asking = Asking(session.settings, own.pool, own.store, drifting.tell, figures, drifting.take)
            return measure_fall(name, bench, asking)

        self.drifting = Drifting(name, bench, ask)
        self.drifting.start()
        return self.drifting

    def close(self) -> None:
        """End what runs."""
        if self.drifting is not None and self.drifting.running:
            self.drifting.cancel()
            self.drifting.join(LEAVE_SECONDS)
