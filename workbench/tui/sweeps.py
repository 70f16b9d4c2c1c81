"""Sweeps: a hyper-parameter sweep in the background, one at a time; the last one is kept."""

from __future__ import annotations

from pathlib import Path

from workbench import files, yaml_document
from workbench.training.job import JobInfo
from workbench.training.recipe import Recipe
from workbench.training.search_space import SearchSpace
from workbench.training.sweep import Ranking, Sweep
from workbench.tui.background_task import BackgroundTask


class SweepTask(BackgroundTask[Ranking]):
    """Trials one after the other. ranking: how they compare so far."""

    def __init__(self, recipe: Recipe, folder: Path, space: SearchSpace, trials: int) -> None:
        """The same recipe and ranges continue the same study."""
        super().__init__("sweep")
        self.stage = "opening the study"
        self.recipe = recipe
        self.ranking: Ranking | None = None
        self._folder, self._space, self._trials = folder, space, trials
        self._sweep: Sweep | None = None

    def work(self) -> Ranking:
        sweep = self._sweep = Sweep(self.recipe, self._folder, self._study, self._space)
        self.on_cancel(sweep.cancel)
        self.ranking = sweep.run(self._trials, lambda text: self._on_trial(sweep, text))
        return self.ranking

    def read_trial(self) -> JobInfo | None:
        """How the current trial stands. Reads its file: not for the screen's thread."""
        job = self._sweep.job if self._sweep is not None and self.running else None
        return job.info() if job is not None else None

    @property
    def _study(self) -> str:
        space = self._space
        named = f"{yaml_document.encode(self.recipe)}{sorted(space)}{[space[key] for key in sorted(space)]}"
        return f"{self.recipe.name or 'recipe'}-{files.digest_text(named)[:8]}"

    def _on_trial(self, sweep: Sweep, text: str) -> None:
        self.ranking = sweep.rank()
        self.report(stage=text)


class Sweeps:
    """current: the last sweep that was started here."""

    def __init__(self) -> None:
        self.current: SweepTask | None = None

    @property
    def running(self) -> bool:
        return self.current is not None and self.current.running

    def make_task(self, recipe: Recipe, folder: Path, space: SearchSpace, trials: int) -> SweepTask:
        """The current sweep from now on; the caller starts it."""
        self.current = SweepTask(recipe, folder, space, trials)
        return self.current
