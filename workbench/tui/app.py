"""WorkbenchApp: themes, keys, and the way from the first frame to the bench screen.

Imports next to nothing at its top: the first frame is drawn before the core is loaded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.css.model import RuleSet
from textual.driver import Driver
from textual.events import Event, Key, Paste
from textual.filter import LineFilter
from textual.notifications import SeverityLevel

from workbench import paths
from workbench.errors import WorkbenchError
from workbench.sanitize import sanitize
from workbench.settings import Settings, load_settings
from workbench.tui.key_queue import KeyMarker, KeyQueue
from workbench.tui.sanitize_filter import SanitizeFilter, SanitizeHook
from workbench.tui.screen_openers import ScreenOpeners
from workbench.tui.signals import end_by_signals
from workbench.tui.widgets.plain import Static

if TYPE_CHECKING:
    from workbench.models.reference import Adapter, Model
    from workbench.runs.new_bench import BenchRequest
    from workbench.tui.app_state import AppState
    from workbench.tui.screens.bench import BenchScreen
    from workbench.tui.widgets.picker import Picked

# For each widget that it styles, Textual looks every rule up in a set, and a rule's hash is a Python function that
# returns its id. The default hash of objects goes by the id as well, in C: opening screens takes a tenth less CPU.
RuleSet.__hash__ = object.__hash__  # type: ignore[method-assign]

_SWEEP_SECONDS = 5.0
"""after which what killed processes have left is removed: not while the first picture is drawn"""


class WorkbenchApp(ScreenOpeners):
    """The terminal application."""

    CSS_PATH = Path(__file__).with_name("app.tcss")
    TITLE = "workbench"
    COMMAND_PALETTE_BINDING = "ctrl+backslash"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "keys", id="app.help", priority=True),
        Binding("question_mark", "help", "keys", id="app.keys"),
        Binding("ctrl+backslash", "command_palette", "palette", id="app.palette", priority=True),
        Binding("ctrl+k", "command_palette", "palette", id="app.palette_outside_text"),
        Binding("ctrl+g", "jump", "jump", id="app.jump", priority=True, show=False),
        Binding("ctrl+q", "leave", "quit", id="app.quit", priority=True, show=False),
        Binding("f3", "toggle_theme", "light/dark", id="app.theme", priority=True, show=False),
    ]

    def __init__(self, settings: Settings, open_state: Callable[[], AppState], sixteen_colors: bool = False) -> None:
        """open_state: called on a thread, after the first frame; its WorkbenchError ends the app.

        sixteen_colors: draw with a terminal's sixteen colours alone.
        """
        super().__init__(settings.theme, sixteen_colors)
        self._open_state = open_state
        self._state: AppState | None = None
        self.problem: WorkbenchError | None = None
        self._sanitize = SanitizeFilter()
        self.error_console.push_render_hook(SanitizeHook())
        self.set_keymap(settings.keymap)
        self._keys = KeyQueue(self, super().on_event)

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Key | Paste) and not event.is_forwarded:
            await self._keys.put(event)
        else:
            await super().on_event(event)

    async def on_key_marker(self, marker: KeyMarker) -> None:
        await self._keys.on_marker(marker)

    def compose(self) -> ComposeResult:
        yield Static(Content.from_markup("[b $primary] workbench[/]  [$foreground 60%]opening…[/]"), id="opening")

    def on_mount(self) -> None:
        self.warn_unknown_theme()
        self.call_after_refresh(self._open)

    @work(thread=True, group="open")
    def _open(self) -> None:
        """Load the core and open the bench, then look for models everywhere."""
        try:
            state = self._open_state()
        except WorkbenchError as error:
            self.problem = error
            self.call_from_thread(self.exit)
            return
        self._show(state)

    @work(thread=True, group="open")
    def open_bench(self, path: Path) -> None:
        """Another bench instead of the open one; the engines go on."""
        from workbench.tui.app_state import replace_bench

        old = self.state
        try:
            state = replace_bench(old, path)
        except WorkbenchError as error:
            self.call_from_thread(self.notify, error.hint, title=error.message, severity="error", timeout=10)
            return
        self.call_from_thread(self._leave_bench)  # type: ignore[arg-type]
        old.stop_tasks()
        old.runs.close()
        self._show(state)

    async def _leave_bench(self) -> None:
        while self.bench_screen is not None:  # two screens of the same id cannot be there at once
            await self.pop_screen()

    def _show(self, state: AppState) -> None:
        """Show a bench, then look for models everywhere. Called on a thread."""
        from workbench.runs.recent import remember_bench
        from workbench.tui.app_state import find_models
        from workbench.tui.screens.bench import BenchScreen

        self._state = state
        state.pool.turns.log = self.notify  # called on a thread: it posts a message
        screen = BenchScreen(state)
        self.call_from_thread(self.push_screen, screen)
        if state.proposal is not None:
            self.call_from_thread(screen.propose, state.proposal)
        if state.review is not None:
            self.call_from_thread(screen.review_rows, state.review)
        remember_bench(state.session.path)
        if not state.complete:
            self.call_from_thread(self._know, state, *find_models(state.session))

    def _know(self, state: AppState, models: tuple[Model, ...], adapters: tuple[Adapter, ...]) -> None:
        if self.bench_screen is not None and self._state is state:
            self.bench_screen.controller.know(models, adapters)

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

    # --- the end -------------------------------------------------------------------------------------------------

    def close_engines(self) -> None:
        """End everything under way, and every engine; safe to call at any time."""
        if self._state is not None:
            self._state.close()

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

    def action_command_palette(self) -> None:
        """Every action of the screen on top, to choose one; closes the palette when it is open."""
        from workbench.tui.commands import list_commands, recent_commands
        from workbench.tui.dialogs.palette import Palette

        if isinstance(self.screen, Palette):
            self.screen.dismiss(None)
        else:
            self.push_screen(Palette(list_commands(self), recent_commands()), self._start_command)

    def _start_command(self, picked: Picked | None) -> None:
        from workbench.tui.commands import start_command

        if picked is not None:
            start_command(self, picked.id)

    def action_take_picture(self) -> None:
        """Save the screen as an SVG file where the person stands."""
        try:
            self.notify(self.save_screenshot(path=str(paths.working_folder())), title="Screenshot saved")
        except OSError as error:
            self.notify(str(error), title="The screenshot was not saved", severity="error")

    def action_help_quit(self) -> None:
        """Ctrl+c quits nothing here, since it copies in text fields; say what does."""
        from workbench.tui.keys import read_bindings

        keys = [self.get_key_display(binding) for binding in read_bindings(self, self) if binding.id == "app.quit"]
        self.notify(f"{keys[0]} quits. In a text field, ctrl+c copies what is selected.", title="To quit")

    def action_leave(self) -> None:
        """Quit, from a dialog too; asks where something is unsaved."""
        screen = self.bench_screen
        if screen is None or not screen.panes:
            self.exit()
            return
        self.keep_typed()
        screen.leave()

    def action_jump(self) -> None:
        """Put a letter on every place for the cursor; the letter moves it there."""
        from workbench.tui.widgets.jump import JumpTarget, JumpView, find_targets

        def go(target: JumpTarget | None) -> None:
            if target is not None:
                target.focus()

        if isinstance(self.screen, JumpView):
            self.screen.dismiss(None)
        elif targets := find_targets(self.screen):
            self.push_screen(JumpView(targets), go)

    def action_help(self) -> None:
        """What the screen is for, and every key that works on it or on the dialog; closes the list when it is open."""
        from workbench.tui.commands import describe_actions
        from workbench.tui.dialogs.help import Help
        from workbench.tui.keys import list_keys

        if isinstance(self.screen, Help):
            self.screen.dismiss(None)
        else:
            about = getattr(self.screen, "HELP_TEXT", "")
            self.push_screen(Help(about, list_keys(self.screen, describe_actions(self)), str(paths.settings_file())))


def run_app(
    bench: Path | None, model: Path | None, proposal: BenchRequest | None = None, review: Path | None = None
) -> int:
    """Run the terminal app on a bench; returns the exit code.

    bench: None takes the one that `choose_bench` finds. model: a file that every pane runs on. proposal: a new bench
    to offer over it. review: a review of synthetic rows to show over it.
    Raises WorkbenchError when there is no bench to open.
    """
    settings = load_settings()

    def opener() -> AppState:
        from workbench.tui.app_state import open_state

        return open_state(bench, model, settings, proposal, review)

    app = WorkbenchApp(settings, opener)
    app.sixteen_colors = app.console.color_system == "standard"
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
    from workbench.training.cleanup import remove_leftovers

    remove_leftovers()
