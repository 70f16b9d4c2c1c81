"""AdaptersScreen: the adapters that were trained here, and where the one under the cursor comes from.

Knows nothing of how they are kept. Flows that open dialogs are in actions/adapters.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer

from workbench.errors import WorkbenchError
from workbench.sanitize import sanitize
from workbench.training.contrast import contrast
from workbench.training.registry import Entry
from workbench.tui.actions import adapters as actions
from workbench.tui.actions.flow import say
from workbench.tui.adapters import Adapters
from workbench.tui.figures import show_seconds
from workbench.tui.footer_order import order_bindings
from workbench.tui.registry_text import describe_contrast, describe_entry, describe_fall, show_row
from workbench.tui.widgets.dialog import is_open
from workbench.tui.widgets.plain import Option, OptionList, Static, plain_line

LOOKS_PER_SECOND = 4
_NONE = """\
No adapter was trained here yet.

On the bench, f9 trains one for the chosen pane's prompt; from the command line: workbench train FILE.recipe.yaml

Each that is made stands here, with where it comes from and how good it was. Deleted ones can be put back: u."""


class AdaptersScreen(Screen[str | None]):
    """Dismissed with the folder of an adapter that a person wants in a pane, or None."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (112, "-wide")]  # noqa: RUF012 - Screen declares it so
    HELP_TEXT: ClassVar[str] = """\
Every adapter that was trained here, the newest first: ★ promoted, the one to use of its kind; ○ retired, out of the
way. Beside it stands where it comes from: base, data, prompt, recipe, and what it scored. Space marks one, c holds the
one under the cursor against it. f asks it anew on the cases of a bench and says whether it fell beyond noise. Nothing
is ever deleted for good from here: x moves it to the trash, u puts it back.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back", id="registry.back"),
        Binding("enter", "open", "as a pane", id="registry.open", priority=True),
        Binding("space", "mark", "mark", id="registry.mark"),
        Binding("c", "do('compare')", "compare", id="registry.compare"),
        Binding("f", "do('measure')", "still good?", id="registry.drift"),
        Binding("n", "do('note')", "note", id="registry.note"),
        Binding("t", "do('tag')", "tags", id="registry.tag"),
        Binding("p", "do('promote')", "promote", id="registry.promote"),
        Binding("r", "do('retire')", "retire", id="registry.retire"),
        Binding("h", "turn_retired", "hide retired", id="registry.hide"),
        Binding("f10", "do('judge')", "verdict", id="registry.verdict", priority=True),
        Binding("x", "do('delete')", "delete", id="registry.delete"),
        Binding("u", "do('restore')", "put back", id="registry.restore"),
        Binding("ctrl+x", "stop", "stop", id="registry.stop", priority=True),
    ]

    def __init__(self, adapters: Adapters) -> None:
        super().__init__(id="registry")
        self.adapters = adapters
        self.entries: tuple[Entry, ...] = ()
        self.marked = ""
        self._hides = False
        self._known = False
        self._shown: tuple[int, int] | None = None
        self.list = OptionList(id="registry-list")

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """The keys that work now, in the footer's order."""
        return order_bindings(self, super().active_bindings)

    def compose(self) -> ComposeResult:
        yield Static(id="registry-title")
        with Horizontal(id="registry-body"):
            yield self.list
            with VerticalScroll(id="registry-details"):
                yield Static(id="registry-text")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self.list.focus()
        self.set_interval(1 / LOOKS_PER_SECOND, self.look)
        self.read()

    # --- what there is -------------------------------------------------------------------------------------------

    @property
    def standing(self) -> Entry | None:
        """The adapter under the cursor."""
        index = self.list.highlighted
        id = self.list.get_option_at_index(index).id if index is not None else None
        return next((entry for entry in self.entries if entry.name == id), None)

    @work(thread=True, group="registry", exclusive=True)
    def read(self, stand_on: str = "") -> None:
        """Read the folder anew."""
        entries = self.adapters.registry.entries()
        self.app.call_from_thread(self._take, entries, stand_on)

    def _take(self, entries: tuple[Entry, ...], stand_on: str) -> None:
        self.entries, self._known = entries, True
        self._fill(stand_on)

    def _fill(self, stand_on: str = "") -> None:
        if not is_open(self):
            return
        wanted = stand_on or (self.standing.name if self.standing else "")
        before = self.list.highlighted or 0
        shown = [entry for entry in self.entries if not (self._hides and entry.rank == "retired")]
        width = max(self.list.scrollable_content_region.width, 30)
        self.list.set_options([Option(show_row(one, one.name == self.marked, width), id=one.name) for one in shown])
        hidden = len(self.entries) - len(shown)
        self.list.border_title = plain_line(
            f"Trained here  {len(shown)}" + (f"  {hidden} retired hidden" if hidden else "")
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
        entry = self.standing
        if entry is not None:
            self._describe(entry)

    @work(thread=True, group="details", exclusive=True)
    def _describe(self, entry: Entry) -> None:
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

    def show_contrast(self, left: Entry, right: Entry) -> None:
        """Two of them side by side."""
        if left.manifest is None or right.manifest is None:
            return
        try:
            found = contrast(left.manifest, right.manifest)
        except WorkbenchError as error:
            say(self, error)
            return
        width = self.query_one("#registry-details").scrollable_content_region.width
        self.show_text("compare", describe_contrast(found, width))

    # --- an adapter that is asked again --------------------------------------------------------------------------

    def look(self) -> None:
        """Show how far it is with the new cases, and what they say."""
        if not is_open(self):
            return
        current = self.adapters.drifting
        state = (id(current), current.version) if current is not None else None
        if current is None or state == self._shown:
            return
        self._shown = state
        self._show_title()
        self.refresh_bindings()
        if not current.running and current.found is not None:
            self.show_text(current.adapter, describe_fall(current.found))
            self.read_quietly()
        elif not current.running and current.error is not None and not current.cancelled:
            say(self, current.error)

    @work(thread=True, group="registry", exclusive=True)
    def read_quietly(self) -> None:
        """Take in what was recorded, and leave the page as it is."""
        self.entries = self.adapters.registry.entries()

    def _show_title(self) -> None:
        current = self.adapters.drifting
        left = Content.assemble((" trained adapters  ", "bold $primary"), f"{len(self.entries)}")
        told: Sequence[str | tuple[str, str]] = ()
        if current is not None and current.running:
            found = current.progress
            share = f" {found.done / found.total:.0%}" if found and found.total else ""
            rest = f", {show_seconds(found.seconds_left)} left" if found and found.seconds_left is not None else ""
            told = ((f"   {sanitize(current.adapter)} answers {sanitize(current.bench.name)}{share}{rest}", "$accent"),)
        elif self.marked:
            told = ((f"   {sanitize(self.marked)} is marked: c holds another against it", "$accent"),)
        self.query_one("#registry-title", Static).update(Content.assemble(left, *told))

    # --- keys ----------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing now are not in the footer."""
        drifting = self.adapters.drifting
        if action == "stop":
            return drifting is not None and drifting.running
        if action in ("leave", "turn_retired") or parameters[:1] == ("restore",):
            return True
        return bool(self.entries)

    def action_leave(self) -> None:
        """First back from a comparison to the page; then off the screen."""
        if self.query_one("#registry-details").border_title:
            self.describe()
        else:
            self.dismiss(None)

    def action_open(self) -> None:
        if self.standing is not None:
            self.dismiss(str(self.standing.path))

    def action_mark(self) -> None:
        """Mark the one under the cursor, or take its mark off."""
        entry = self.standing
        if entry is not None:
            self.marked = "" if entry.name == self.marked else entry.name
            self._fill()

    def action_turn_retired(self) -> None:
        self._hides = not self._hides
        self._fill()

    def action_stop(self) -> None:
        if self.adapters.drifting is not None:
            self.adapters.drifting.cancel()

    def action_do(self, name: str) -> None:
        """A flow, by its name."""
        getattr(actions, name)(self)
