"""Evaluating: a run under way beside the screen.

A thread follows the run's events and keeps only the last of each kind; whoever shows them looks a few times a second.
Knows nothing of widgets.
"""

from __future__ import annotations

import threading

from workbench.errors import WorkbenchError
from workbench.evaluation.cell import CellFinished
from workbench.evaluation.plan import Plan
from workbench.evaluation.progress import RunProgress, RunStarted
from workbench.evaluation.run import Evaluation


class Evaluating:
    """One run. version: counts finished cells, so that a screen sees whether anything is new."""

    def __init__(self, evaluation: Evaluation, plan: Plan) -> None:
        self.plan = plan
        self.run = ""
        self.version = 0
        self.progress: RunProgress | None = None
        self.error: WorkbenchError | None = None
        self.running = True
        self._evaluation = evaluation
        self._thread = threading.Thread(target=self._follow, name="evaluation", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def paused(self) -> bool:
        return self.progress is not None and self.progress.state == "paused"

    def turn_pause(self) -> None:
        """Pause, or go on."""
        if self.paused:
            self._evaluation.go_on()
        else:
            self._evaluation.pause()

    def turn_pause_of(self, variant: str) -> str:
        """Pause the model that a variant runs on, or go on with it; what was done, in words."""
        model = next((one.model for one in self.plan.models if variant in one.variants), "")
        if self.progress is not None and model in self.progress.paused:
            self._evaluation.go_on(model)
            return f"{model} goes on."
        self._evaluation.pause(model)
        return f"{model} pauses; the others go on."

    def stop(self) -> None:
        """End it soon; what is finished is kept, and the run can be resumed."""
        self._evaluation.cancel()

    def join(self, seconds: float) -> None:
        """Wait for the end of a run that was stopped."""
        self._thread.join(seconds)

    def _follow(self) -> None:
        try:
            for event in self._evaluation.events():
                if isinstance(event, RunStarted):
                    self.run = event.run
                elif isinstance(event, RunProgress):
                    self.progress = event
                elif isinstance(event, CellFinished):
                    self.version += 1
        except WorkbenchError as error:
            self.error = error
        finally:
            self.version += 1
            self.running = False
