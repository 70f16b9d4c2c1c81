"""WorkbenchApp: themes, keys, the pool of engines, and the screen one starts on.

Knows which screens there are; what happens on one is the screen's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from textual import work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from workbench import paths
from workbench.evaluation.opening import choose_bench
from workbench.evaluation.session import Session
from workbench.hosting.pool import Pool
from workbench.models.discover import default_folders, discover_models
from workbench.models.reference import Model
from workbench.settings import load_settings
from workbench.tui import actions
from workbench.tui.dialogs.help import Help, KeyRow
from workbench.tui.screens.bench import HELP, BenchScreen
from workbench.tui.theme import DARK, LIGHT


class WorkbenchApp(App[None]):
    """The terminal application."""

    CSS_PATH = "app.tcss"
    TITLE = "workbench"
    COMMAND_PALETTE_BINDING = "ctrl+k"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "help", id="app.help", priority=True),
        Binding("ctrl+k", "command_palette", "palette", id="app.palette", priority=True),
        Binding("ctrl+q", "leave", "quit", id="app.quit", priority=True, show=False),
        Binding("f3", "turn_theme", "light/dark", id="app.theme", priority=True, show=False),
    ]

    def __init__(self, session: Session, pool: Pool, models: tuple[Model, ...] | None = None) -> None:
        """models: those to offer; None looks for them where people have them."""
        super().__init__()
        self.session = session
        self.pool = pool
        self._models = models
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = session.settings.theme if session.settings.theme in self.available_themes else DARK.name
        self.set_keymap(session.settings.keymap)

    def on_mount(self) -> None:
        near = self._models if self._models is not None else discover_models((paths.find_shipped("assets"),))
        self.push_screen(BenchScreen(self.session, self.pool, near))
        if self._models is None:
            self._discover()

    @work(thread=True, group="discover")
    def _discover(self) -> None:
        """Look everywhere in the background; the first screen does not wait for it."""
        found = discover_models(default_folders(self.session.settings, self.session.path.parent))
        self.call_from_thread(self._take_models, found)

    def _take_models(self, found: tuple[Model, ...]) -> None:
        screen = self.bench_screen
        if screen is not None:
            screen.take_models(found)

    @property
    def bench_screen(self) -> BenchScreen | None:
        return next((screen for screen in self.screen_stack if isinstance(screen, BenchScreen)), None)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        if isinstance(screen, BenchScreen):
            for title, explanation, action in actions.PALETTE:
                yield SystemCommand(title, explanation, lambda action=action: self._start(screen, action))
        yield SystemCommand("Light or dark", "Turn the theme", self.action_turn_theme)
        yield SystemCommand("Theme…", "Choose among all themes", self.action_change_theme)
        yield SystemCommand("Keys and help", "Every key of this screen", self.action_help)

    def _start(self, screen: BenchScreen, action: actions.Start) -> None:
        screen.gather()
        action(screen)

    def action_turn_theme(self) -> None:
        self.theme = LIGHT.name if self.current_theme.dark else DARK.name

    def action_leave(self) -> None:
        screen = self.bench_screen
        if screen is None or self.screen is not screen:
            self.exit()
            return
        screen.gather()
        actions.leave(screen)

    def action_help(self) -> None:
        if isinstance(self.screen, BenchScreen):
            self.push_screen(Help(HELP, list_keys(self.screen), str(paths.settings_file())))


def list_keys(screen: Screen[Any]) -> list[tuple[str, list[KeyRow]]]:
    """Every key of a screen and of what it holds, in groups, once each."""
    groups = [("Everywhere", screen.app), ("On this screen", screen)]
    names = {"OutputPane": "On a pane", "PromptEditor": "In the prompt", "ExampleList": "In the examples"}
    for widget in screen.query("OutputPane, PromptEditor, ExampleList"):
        title = names.pop(type(widget).__name__, "")
        if title:
            groups.append((title, widget))
    listed = []
    for title, node in groups:
        own = [binding for _, binding in node._bindings if binding.id and binding.id.split(".")[0] in _OWNERS]
        keys: dict[str, tuple[list[str], str]] = {}
        for binding in own:
            keys.setdefault(binding.id or "", ([], binding.description))[0].append(screen.app.get_key_display(binding))
        listed.append((title, [KeyRow(" ".join(key), text, id) for id, (key, text) in keys.items()]))
    return listed


_OWNERS = {"app", "bench", "pane", "editor", "examples"}


def run_app(bench: Path | None, model: Path | None) -> int:
    """Open the screen on a bench and stay until a person leaves; the exit code.

    bench: None takes the one that `choose_bench` finds. model: a file that every pane runs on, remembered in the bench
    once it is saved. Raises WorkbenchError when there is no bench to open.
    """
    settings = load_settings()
    session = Session(bench or choose_bench(Path.cwd()), settings)
    if model is not None:
        session.use_model(model)
    pool = Pool(settings.threads, settings.max_context_tokens)
    try:
        app = WorkbenchApp(session, pool)
        app.run()
        return app.return_code or 0
    finally:
        pool.close()
