"""Ui: what an action may do on the screen besides changing its controller: ask, tell, and open dialogs and screens.

Protocols, so that actions import neither screens nor the app, which import them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from textual.screen import Screen

from workbench.analysis.votes import Rating, Votes
from workbench.errors import WorkbenchError
from workbench.inference.types import Thinking
from workbench.models.reference import Adapter, Model
from workbench.prompting.prompt import Prompt
from workbench.training.recipe import Recipe
from workbench.tui.background_task import BackgroundTask

Result = TypeVar("Result")


class CellLocation(NamedTuple):
    """A cell to show on the bench."""

    case: int
    variant: str


class ModelPick(NamedTuple):
    """What was chosen for a pane in the list of models and adapters."""

    kind: Literal["model", "adapter"]
    name: str


class AcceptedPrompt(NamedTuple):
    """A prompt that a search wrote, for the pane of a variant. thinking: what it was found with."""

    variant: str
    prompt: str
    thinking: Thinking


class Screens(Protocol):
    """The screens that an action can open; each returns what it was left with, None for nothing."""

    async def open_models(self, base: Model | None, adapters: Sequence[Adapter]) -> ModelPick | None:
        """Models and adapters on this machine. base, adapters: those of the pane."""

    async def open_matrix(self, run: str = "") -> CellLocation | None:
        """A run as a matrix; "" shows the current one."""

    async def open_votes(self, votes: Votes, rate: Callable[[], Future[tuple[Rating, ...]]]) -> None:
        """A blind vote on the answers of a run."""

    async def open_training(self, recipe: Recipe) -> str | None:
        """A training; returns the folder of an adapter to open in a pane."""

    async def open_verdict(self, adapter: str = "") -> str | None:
        """The verdict on an adapter; returns likewise."""

    async def open_optimize(self, variant: str) -> AcceptedPrompt | None:
        """A search for a better prompt of a variant; returns what was accepted."""

    async def open_registry(self) -> str | None:
        """The trained adapters; returns likewise."""

    async def open_history(self, name: str, current: Prompt, variant: str) -> Prompt | None:
        """The versions of a prompt; returns the one to restore. current: the prompt as it now reads. variant: whose
        scores are shown first."""

    async def open_synthesis(self, path: Path) -> None:
        """A review of synthetic rows, by its file."""

    def open_bench(self, path: Path) -> None:
        """Another bench instead of this one, once the action that asks for it has ended."""

    async def open_sweep(self, recipe: Recipe, folder: Path) -> Recipe | None:
        """A hyper-parameter sweep; returns the recipe with the best values."""


class Ui(Protocol):
    """The screen as an action sees it."""

    @property
    def screens(self) -> Screens: ...

    async def push(self, dialog: Screen[Result]) -> Result | None:
        """Open a dialog and wait for what it is dismissed with."""

    async def ask(
        self, title: str, text: str, answers: Sequence[tuple[str, str]], destructive: Collection[str] = ()
    ) -> str:
        """The id of the chosen answer; escape is the last one, and enter the first that is not destructive."""

    def toast(self, text: str, title: str = "", timeout: float = 4) -> None:
        """A short message that goes away by itself."""

    def warn(self, text: str, title: str = "", timeout: float = 15) -> None:
        """The same for something important."""

    def show_error(self, error: WorkbenchError) -> None:
        """What went wrong and what to do, as a toast."""

    def start(self, action: Coroutine[Any, Any, None]) -> None:
        """Run an action in the background; its WorkbenchError becomes a toast."""

    def launch(self, task: BackgroundTask[Any]) -> None:
        """Start work that continues when the screen is left."""

    def copy(self, text: str) -> None:
        """Put a text on the clipboard, by the terminal, so that it works over SSH."""

    def suspend(self) -> AbstractContextManager[None]:
        """Give the terminal to another program. Raises SuspendNotSupported."""

    def exit(self) -> None:
        """Quit."""
