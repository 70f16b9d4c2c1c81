"""AdaptersScreen: the trained adapters, and the lineage and scores of the selected one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content

from workbench.errors import WorkbenchError
from workbench.sanitize import sanitize
from workbench.training.adapter_comparison import compare_adapters
from workbench.training.registry import RegistryEntry
from workbench.tui.actions import adapters as actions
from workbench.tui.keys import KeyedScreen
from workbench.tui.registry_text import describe_contrast, describe_entry, describe_fall, show_row
from workbench.tui.screen_ui import ScreenUi
from workbench.tui.trained_adapters import TrainedAdapters
from workbench.tui.widgets.dialog import is_open
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.plain import Option, OptionList, Static, plain_line
from workbench.units import format_duration

POLLS_PER_SECOND = 4
_NONE = """\
No trained adapters yet.

f9 on the bench trains one for the chosen pane's prompt; on the command line: workbench train FILE.recipe.yaml

They are listed here with their lineage and scores. u restores deleted ones."""


class AdaptersScreen(KeyedScreen[str | None]):
    """Dismissed with the folder of the adapter to open in a pane, or None."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (112, "-wide")]  # noqa: RUF012 - Screen declares it so
    HELP_TEXT: ClassVar[str] = """\
Every adapter trained here, newest first: ★ promoted, ○ retired. On the right is where it comes from: base, data,
prompt, recipe, and its scores. Space marks one, c compares the selected one with it. f runs it on the cases of a bench
and says whether it regressed by more than noise. x moves it to the trash, u restores it.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back", id="registry.back", tooltip="Back"),
        Binding("enter", "open", "open", id="registry.open", tooltip="Open the adapter in a pane", priority=True),
        Binding("space", "mark", "mark", id="registry.mark", tooltip="Mark the adapter, to compare another with it"),
        Binding("c", "do('compare')", "compare", id="registry.compare", tooltip="Compare with the marked adapter"),
        Binding(
            "f",
            "do('check')",
            "check",
            id="registry.drift",
            tooltip="Check it on the cases of a bench for a regression",
        ),
        Binding("n", "do('note')", "note", id="registry.note", tooltip="Write a note on the adapter"),
        Binding("t", "do('tag')", "tag", id="registry.tag", tooltip="Tag the adapter"),
        Binding(
            "p", "do('promote')", "promote", id="registry.promote", tooltip="Promote the adapter, or take that back"
        ),
        Binding("r", "do('retire')", "retire", id="registry.retire", tooltip="Retire the adapter, or take that back"),
        Binding("h", "toggle_retired", "hide", id="registry.hide", tooltip="Show or hide retired adapters"),
        Binding(
            "f10",
            "do('judge')",
            "verdict",
            id="registry.verdict",
            tooltip="Verdict: this adapter against the best prompt",
            priority=True,
        ),
        Binding("x", "do('delete')", "delete", id="registry.delete", tooltip="Move the adapter to the trash"),
        Binding("u", "do('restore')", "restore", id="registry.restore", tooltip="Restore an adapter from the trash"),
        Binding("f7", "stop", "stop", id="registry.stop", tooltip="Stop the check", priority=True),
    ]

    def __init__(self, adapters: TrainedAdapters) -> None:
        super().__init__(id="registry")
        self.adapters = adapters
        self.ui = ScreenUi(self)
        self.entries: tuple[RegistryEntry, ...] = ()
        self._listed = adapters.session.adapters
        self.marked = ""
        self._hides = False
        self._known = False
        self._shown: tuple[int, int] | None = None
        self.list = OptionList(id="registry-list")

    def compose(self) -> ComposeResult:
        yield Static(id="registry-title")
        with Horizontal(id="registry-body"):
            yield self.list
            with VerticalScroll(id="registry-details"):
                yield Static(id="registry-text")
        yield KeyFooter()

    def on_mount(self) -> None:
        self.list.focus()
        self.set_interval(1 / POLLS_PER_SECOND, self.poll)
        self.read()

    # --- what there is -------------------------------------------------------------------------------------------

    @property
    def highlighted_entry(self) -> RegistryEntry | None:
        """The adapter under the cursor."""
        index = self.list.highlighted
        id = self.list.get_option_at_index(index).id if index is not None else None
        return next((entry for entry in self.entries if entry.name == id), None)

    @work(thread=True, group="registry", exclusive=True)
    def read(self, select: str = "") -> None:
        """Read the registry again."""
        self.adapters.session.refresh_adapters()
        self._listed = self.adapters.session.adapters
        entries = self.adapters.registry.entries()
        self.app.call_from_thread(self._accept, entries, select)

    def _accept(self, entries: tuple[RegistryEntry, ...], select: str) -> None:
        self.entries, self._known = entries, True
        self._fill(select)

    def _fill(self, select: str = "") -> None:
        if not is_open(self):
            return
        wanted = select or (self.highlighted_entry.name if self.highlighted_entry else "")
        before = self.list.highlighted or 0
        shown = [entry for entry in self.entries if not (self._hides and entry.rank == "retired")]
        width = max(self.list.scrollable_content_region.width, 30)
        self.list.set_options([Option(show_row(one, one.name == self.marked, width), id=one.name) for one in shown])
        hidden = len(self.entries) - len(shown)
        self.list.border_title = plain_line(
            f"Trained adapters  {len(shown)}" + (f"  {hidden} retired hidden" if hidden else "")
        )
        names = [entry.name for entry in shown]
        if names:
            self.list.highlighted = names.index(wanted) if wanted in names else min(before, len(names) - 1)
            self.describe()
        elif self._known:
            self.show_text("", Content(_NONE))
        self._show_title()

    def on_resize(self) -> None:
        self.call_after_refresh(self._fill)

    @on(OptionList.OptionHighlighted)
    def _walked(self) -> None:
        self.describe()

    def describe(self) -> None:
        """The page of the one under the cursor."""
        entry = self.highlighted_entry
        if entry is not None:
            self._describe(entry)

    @work(thread=True, group="details", exclusive=True)
    def _describe(self, entry: RegistryEntry) -> None:
        lineage = self.adapters.registry.lineage(entry.name)
        stem = (
            entry.name.rstrip("0123456789").rstrip("-") if entry.manifest and entry.manifest.version > 1 else entry.name
        )
        versions = [
            one.name for one in self.entries if one.name == stem or one.name.removeprefix(f"{stem}-").isdecimal()
        ]
        self.app.call_from_thread(self.show_text, "", describe_entry(entry, lineage, versions))

    def show_text(self, title: str, text: Content) -> None:
        """Show a page at the right."""
        if is_open(self):
            panel = self.query_one("#registry-details", VerticalScroll)
            panel.border_title = plain_line(title)
            self.query_one("#registry-text", Static).update(text)
            panel.scroll_home(animate=False)

    def show_contrast(self, left: RegistryEntry, right: RegistryEntry) -> None:
        """Two of them side by side."""
        if left.manifest is None or right.manifest is None:
            return
        try:
            found = compare_adapters(left.manifest, right.manifest)
        except WorkbenchError as error:
            self.ui.show_error(error)
            return
        width = self.query_one("#registry-details").scrollable_content_region.width
        self.show_text("compare", describe_contrast(found, width))

    # --- an adapter that is asked again --------------------------------------------------------------------------

    def poll(self) -> None:
        """Show how far it is with the new cases, and what they say."""
        if not is_open(self):
            return
        if self.adapters.session.adapters is not self._listed:  # one was trained meanwhile
            self._listed = self.adapters.session.adapters
            self.read()
        current = self.adapters.check
        state = (id(current), current.version) if current is not None else None
        if current is None or state == self._shown:
            return
        self._shown = state
        self._show_title()
        self.refresh_bindings()
        if not current.running and current.result is not None:
            self.show_text(current.adapter, describe_fall(current.result))
            self.read_quietly()
        elif not current.running and current.error is not None and not current.cancelled:
            self.ui.show_error(current.error)

    @work(thread=True, group="registry", exclusive=True)
    def read_quietly(self) -> None:
        """Take in what was recorded, and leave the page as it is."""
        self.entries = self.adapters.registry.entries()

    def _show_title(self) -> None:
        current = self.adapters.check
        left = Content.assemble((" adapters  ", "bold $primary"), f"{len(self.entries)}")
        status: Sequence[str | tuple[str, str]] = ()
        if current is not None and current.running:
            found = current.progress
            share = f" {found.done / found.total:.0%}" if found and found.total else ""
            rest = f", {format_duration(found.seconds_left)} left" if found and found.seconds_left is not None else ""
            status = (
                (f"   checking {sanitize(current.adapter)} on {sanitize(current.bench.name)}{share}{rest}", "$accent"),
            )
        elif self.marked:
            status = ((f"   {sanitize(self.marked)} is marked: c compares another with it", "$accent"),)
        self.query_one("#registry-title", Static).update(Content.assemble(left, *status))

    # --- keys ----------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing now are not in the footer."""
        if action == "stop":
            return self.adapters.checking
        if action in ("leave", "toggle_retired") or parameters[:1] == ("restore",):
            return True
        return bool(self.entries)

    def action_leave(self) -> None:
        """First back from a comparison to the page; then off the screen."""
        if self.query_one("#registry-details").border_title:
            self.describe()
        else:
            self.dismiss(None)

    def action_open(self) -> None:
        if self.highlighted_entry is not None:
            self.dismiss(str(self.highlighted_entry.path))

    def action_mark(self) -> None:
        """Mark the selected adapter, or unmark it."""
        entry = self.highlighted_entry
        if entry is not None:
            self.marked = "" if entry.name == self.marked else entry.name
            self._fill()

    def action_toggle_retired(self) -> None:
        self._hides = not self._hides
        self._fill()

    def action_stop(self) -> None:
        if self.adapters.check is not None:
            self.adapters.check.cancel()

    def action_do(self, name: str) -> None:
        """An action, by its name."""
        self.ui.start(getattr(actions, name)(self, self.ui))
