"""Sweeping: a search for better numbers beside the screen.

A thread carries out trials one after the other and keeps how they stand. Knows nothing of widgets.
"""

from __future__ import annotations

import threading
from pathlib import Path

from workbench import files
from workbench.errors import WorkbenchError
from workbench.evaluation import document
from workbench.training.job import JobInfo
from workbench.training.recipe import Recipe
from workbench.training.space import Space
from workbench.training.sweep import Ranking, Sweep

LEAVE_SECONDS = 2.0


class Sweeping:
    """One search at a time; the last one is kept. version: counts what is new."""

    def __init__(self) -> None:
        self.ranking: Ranking | None = None
        self.recipe: Recipe | None = None
        self.error: WorkbenchError | None = None
        self.said = ""
        self.running = False
        self.cancelled = False
        self.version = 0
        self._sweep: Sweep | None = None
        self._thread: threading.Thread | None = None

    def begin(self, recipe: Recipe, folder: Path, space: Space, trials: int) -> None:
        """Try so many times; the same recipe and ranges go on with the same study."""
        self.recipe, self.error, self.said, self.ranking = recipe, None, "opening the study", None
        self.running, self.cancelled = True, False
        self.version += 1
        named = f"{document.encode(recipe)}{sorted(space)}{[space[key] for key in sorted(space)]}"
        name = f"{recipe.name or 'recipe'}-{files.digest_text(named)[:8]}"
        self._thread = threading.Thread(
            target=self._follow, args=(recipe, folder, name, space, trials), name="sweep", daemon=True
        )
        self._thread.start()

    def cancel(self) -> None:
        """End it soon; what was tried is kept."""
        self.cancelled = True
        if self._sweep is not None:
            self._sweep.cancel()

    def look_at_trial(self) -> JobInfo | None:
        """How the trial under way stands. Reads its file: not for the screen's thread."""
        job = self._sweep.job if self._sweep is not None and self.running else None
        return job.info() if job is not None else None

    def close(self) -> None:
        """End what runs."""
        if self._thread is not None and self.running:
            self.cancel()
            self._thread.join(LEAVE_SECONDS)

    def _follow(self, recipe: Recipe, folder: Path, name: str, space: Space, trials: int) -> None:
        try:
            sweep = self._sweep = Sweep(recipe, folder, name, space)
            if self.cancelled:  # before there was one to cancel
                sweep.cancel()
            self.ranking = sweep.run(trials, lambda text: self._say(sweep, text))
        except WorkbenchError as error:
            self.error = error
        finally:
            self._sweep, self.running = None, False
            self.version += 1

    def _say(self, sweep: Sweep, text: str) -> None:
        self.said, self.ranking = text, sweep.rank()
        self.version += 1
