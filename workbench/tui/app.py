"""WorkbenchApp: themes, keys, and the way from the first frame to the bench screen.

Imports next to nothing at its top: the first frame is drawn before the core is loaded. Knows which screens there are;
what happens on one is the screen's own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.driver import Driver
from textual.filter import LineFilter
from textual.notifications import SeverityLevel
from textual.screen import Screen

from workbench import paths
from workbench.errors import WorkbenchError
from workbench.sanitize import sanitize
from workbench.settings import Settings, load_settings
from workbench.tui.sanitize_filter import SanitizeFilter, SanitizeHook
from workbench.tui.signals import end_by_signals
from workbench.tui.theme import DARK, LIGHT
from workbench.tui.widgets.plain import Static

if TYPE_CHECKING:
    from concurrent.futures import Future

    from workbench.evaluation.session import Session
    from workbench.evaluation.votes import Rating, Votes
    from workbench.hosting.pool import Pool
    from workbench.models.reference import Adapter, Model
    from workbench.training.recipe import Recipe
    from workbench.tui.adapters import Adapters
    from workbench.tui.desk import Desk
    from workbench.tui.evaluations import Evaluations
    from workbench.tui.screens.bench import BenchScreen
    from workbench.tui.screens.matrix import Shown
    from workbench.tui.screens.models import Taken
    from workbench.tui.sweeping import Sweeping
    from workbench.tui.trainings import Trainings
    from workbench.tui.verdicts import Verdicts


_SWEEP_SECONDS = 5.0
"""after which what killed processes have left is removed: not while the first picture is drawn"""


class WorkbenchApp(App[None]):
    """The terminal application."""

    CSS_PATH = Path(__file__).with_name("app.tcss")
    TITLE = "workbench"
    COMMAND_PALETTE_BINDING = "ctrl+k"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "help", id="app.help", priority=True),
        Binding("ctrl+k", "command_palette", "palette", id="app.palette", priority=True),
        Binding("ctrl+q", "leave", "quit", id="app.quit", priority=True, show=False),
        Binding("f3", "turn_theme", "light/dark", id="app.theme", priority=True, show=False),
    ]

    def __init__(self, settings: Settings, open_desk: Callable[[], Desk]) -> None:
        """open_desk: called off the screen's thread, after the first frame; its WorkbenchError ends the app."""
        super().__init__()
        self._open_desk = open_desk
        self._desk: Desk | None = None
        self._evaluations: Evaluations | None = None
        self._beside: list[Verdicts | Adapters | Sweeping] = []
        self._sweeping: Sweeping | None = None
        self.problem: WorkbenchError | None = None
        self._sanitize = SanitizeFilter()
        self.error_console.push_render_hook(SanitizeHook())
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = settings.theme if settings.theme in self.available_themes else DARK.name
        self.set_keymap(settings.keymap)

    def compose(self) -> ComposeResult:
        yield Static(Content.from_markup("[b $primary] workbench[/]  [$foreground 60%]opening…[/]"), id="opening")

    def on_mount(self) -> None:
        self.call_after_refresh(self._open)

    @work(thread=True, group="open")
    def _open(self) -> None:
        """Load the core and open the bench, then look for models everywhere."""
        from workbench.tui.desk import find_models
        from workbench.tui.screens.bench import BenchScreen

        try:
            desk = self._desk = self._open_desk()
        except WorkbenchError as error:
            self.problem = error
            self.call_from_thread(self.exit)
            return
        self.call_from_thread(self.push_screen, BenchScreen(desk))
        if not desk.complete:
            self.call_from_thread(self._take_models, *find_models(desk.session))

    def _take_models(self, models: tuple[Model, ...], adapters: tuple[Adapter, ...]) -> None:
        if self.bench_screen is not None:
            self.bench_screen.take_models(models, adapters)

    def get_driver_class(self) -> type[Driver]:
        """Textual's choice; of a Unix terminal our own kind of it."""
        found = super().get_driver_class()
        if found.__name__ != "LinuxDriver":
            return found
        from workbench.tui.driver import TerminalDriver

        return TerminalDriver

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Every drawn row is sanitised on its way to the terminal."""
        return [*super().get_line_filters(), self._sanitize]

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,  # whatever is asked: toasts name files, variants and models
    ) -> None:
        super().notify(sanitize(message), title=sanitize(title), severity=severity, timeout=timeout, markup=False)

    @property
    def bench_screen(self) -> BenchScreen | None:
        """The bench screen, once it is open."""
        return next((screen for screen in self.screen_stack if screen.id == "bench"), None)  # type: ignore[return-value]

    async def browse_models(
        self, session: Session, pool: Pool, base: Model | None, laid: Sequence[Adapter]
    ) -> Taken | None:
        """Open the browser of models and adapters; what a person took, when they come back."""
        from workbench.tui.screens.models import ModelsScreen

        return await self.push_screen_wait(ModelsScreen(session, pool, base, laid))

    async def show_matrix(self, evaluations: Evaluations, run: str = "") -> Shown | None:
        """Open the matrix of a run; what a person wants to see on the bench, when they come back."""
        from workbench.tui.screens.matrix import MatrixScreen

        self._evaluations = evaluations
        return await self.push_screen_wait(MatrixScreen(evaluations, run))

    async def show_votes(self, votes: Votes, rate: Callable[[], Future[tuple[Rating, ...]]]) -> None:
        """Put the answers of a run to a blind vote, until a person comes back."""
        from workbench.tui.screens.votes import VoteScreen

        await self.push_screen_wait(VoteScreen(votes, rate))

    async def show_training(self, trainings: Trainings, recipe: Recipe) -> str | None:
        """Open the training of a bench; the adapter that a person wants in a pane, when they come back."""
        from workbench.tui.screens.training import TrainingScreen

        return await self.push_screen_wait(TrainingScreen(trainings, recipe))

    async def show_verdict(self, verdicts: Verdicts, adapter: str = "") -> str | None:
        """Open the verdict on a bench; the adapter that a person wants in a pane, when they come back."""
        from workbench.tui.screens.verdict import VerdictScreen

        self._keep(verdicts)
        return await self.push_screen_wait(VerdictScreen(verdicts, adapter))

    async def show_registry(self, adapters: Adapters) -> str | None:
        """Open the registry of adapters; the one that a person wants in a pane, when they come back."""
        from workbench.tui.screens.adapters import AdaptersScreen

        self._keep(adapters)
        return await self.push_screen_wait(AdaptersScreen(adapters))

    async def show_sweep(self, recipe: Recipe, folder: Path) -> Recipe | None:
        """Open the search for better numbers of a recipe; the one to go on with, when they come back."""
        from workbench.tui.screens.sweep import SweepScreen
        from workbench.tui.sweeping import Sweeping

        sweeping = self._sweeping = self._sweeping or Sweeping()
        self._keep(sweeping)
        return await self.push_screen_wait(SweepScreen(sweeping, recipe, folder))

    def _keep(self, beside: Verdicts | Adapters | Sweeping) -> None:
        """Note what may be under way beside the screen, so that it is ended before the engines are."""
        if beside not in self._beside:
            self._beside.append(beside)

    def close_engines(self) -> None:
        """End every engine, whatever uses them first; quick, and safe to call at any time."""
        for one in self._beside:
            one.close()
        if self._evaluations is not None:
            self._evaluations.close()
        if self._desk is not None:
            self._desk.pool.close()

    def keep_typed(self) -> None:
        """Have what was typed kept as drafts, on every screen that holds some."""
        for screen in reversed(self.screen_stack):
            keep: Callable[[], object] | None = getattr(screen, "keep_typed", None)
            if keep is not None:
                keep()

    def end(self, code: int) -> None:
        """Leave without a question: what is unsaved is restored when the bench is opened again."""
        self.keep_typed()
        self.exit(return_code=code)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        bench = self.bench_screen
        if bench is not None and screen is bench:
            from workbench.tui.actions.palette import ACTIONS

            for id, action in ACTIONS.items():
                yield SystemCommand(action.title, action.explanation, partial(bench.action_do, id))
        elif screen.id in ("matrix", "training", "verdict", "registry", "sweep"):
            for binding in screen.BINDINGS:
                if isinstance(binding, Binding):
                    title = binding.description.capitalize()
                    yield SystemCommand(title, "", partial(screen.run_action, binding.action))
        yield SystemCommand("Light or dark", "Turn the theme", self.action_turn_theme)
        yield SystemCommand("Keys and help", "Every key of this screen", self.action_help)
        yield SystemCommand("Theme…", "Choose among all themes", self.action_change_theme)

    def action_turn_theme(self) -> None:
        self.theme = LIGHT.name if self.current_theme.dark else DARK.name

    def action_leave(self) -> None:
        screen = self.bench_screen
        if screen is None or self.screen is not screen:
            self.exit()
            return
        screen.action_do("leave")

    def action_help(self) -> None:
        """What the screen is for, and every key that works on it."""
        text = getattr(self.screen, "HELP_TEXT", "")
        if text:
            from workbench.tui.dialogs.help import Help
            from workbench.tui.keys import list_keys

            self.push_screen(Help(text, list_keys(self.screen), str(paths.settings_file())))


def run_app(bench: Path | None, model: Path | None) -> int:
    """Open the screen on a bench and stay until a person leaves; the exit code.

    bench: None takes the one that `choose_bench` finds. model: a file that every pane runs on.
    Raises WorkbenchError when there is no bench to open.
    """
    settings = load_settings()

    def opener() -> Desk:
        from workbench.tui.desk import open_desk

        return open_desk(bench, model, settings)

    app = WorkbenchApp(settings, opener)
    sweeping = threading.Timer(_SWEEP_SECONDS, _sweep)
    sweeping.daemon = True
    sweeping.start()
    try:
        with end_by_signals(app.end, app.keep_typed):
            app.run()
    finally:
        sweeping.cancel()
        app.close_engines()
    if app.problem is not None:
        raise app.problem
    return app.return_code or 0


def _sweep() -> None:
    from workbench.training.leftovers import sweep_leftovers

    sweep_leftovers()
