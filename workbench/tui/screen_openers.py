"""ScreenOpeners: the screens that actions open, each imported when it is first opened; see tui/ui.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.tui.themed_app import ThemedApp

if TYPE_CHECKING:
    from concurrent.futures import Future

    from workbench.analysis.votes import Rating, Votes
    from workbench.models.reference import Adapter, Model
    from workbench.prompting.prompt import Prompt
    from workbench.training.recipe import Recipe
    from workbench.tui.app_state import AppState
    from workbench.tui.ui import AcceptedPrompt, CellLocation, ModelPick


class ScreenOpeners(ThemedApp):
    """An app that implements Screens, over an open bench."""

    _state: AppState | None = None

    @property
    def state(self) -> AppState:
        """The open bench and what works on it; there once a screen but the first is."""
        assert self._state is not None
        return self._state

    async def open_models(self, base: Model | None, adapters: Sequence[Adapter]) -> ModelPick | None:
        from workbench.tui.screens.models import ModelsScreen

        return await self.push_screen_wait(ModelsScreen(self.state.session, self.state.pool, base, adapters))

    async def open_matrix(self, run: str = "") -> CellLocation | None:
        from workbench.tui.screens.matrix import MatrixScreen

        return await self.push_screen_wait(MatrixScreen(self.state.runs, run))

    async def open_votes(self, votes: Votes, rate: Callable[[], Future[tuple[Rating, ...]]]) -> None:
        from workbench.tui.screens.votes import VoteScreen

        await self.push_screen_wait(VoteScreen(votes, rate))

    async def open_training(self, recipe: Recipe) -> str | None:
        from workbench.tui.screens.training import TrainingScreen

        return await self.push_screen_wait(TrainingScreen(self.state.jobs, recipe))

    async def open_verdict(self, adapter: str = "") -> str | None:
        from workbench.tui.screens.verdict import VerdictScreen

        return await self.push_screen_wait(VerdictScreen(self.state.verdicts, adapter))

    async def open_optimize(self, variant: str) -> AcceptedPrompt | None:
        from workbench.tui.screens.optimize import OptimizeScreen

        return await self.push_screen_wait(OptimizeScreen(self.state.searches, variant))

    async def open_registry(self) -> str | None:
        from workbench.tui.screens.adapters import AdaptersScreen

        return await self.push_screen_wait(AdaptersScreen(self.state.registry))

    async def open_sweep(self, recipe: Recipe, folder: Path) -> Recipe | None:
        from workbench.tui.screens.sweep import SweepScreen

        return await self.push_screen_wait(SweepScreen(self.state.sweeps, recipe, folder))

    async def open_history(self, name: str, current: Prompt, variant: str) -> Prompt | None:
        from workbench.runs.writer import name_bench
        from workbench.tui.screens.history import HistoryScreen

        runs = self.state.runs
        ask = partial(runs.read_history, name, current)
        bench = name_bench(self.state.session.path)
        return await self.push_screen_wait(HistoryScreen(name, ask, bench, variant))

    async def open_synthesis(self, path: Path) -> None:
        from workbench.synthesis.opening import continue_review
        from workbench.tui.screens.synthesis import SynthesisScreen

        await self.push_screen_wait(SynthesisScreen(lambda: continue_review(path)[0]))
