"""OptimizeScreen: a search for a better prompt: form and plan, then candidates with their changes and their cases.

The search runs in the background and continues when the screen is left.
"""

from __future__ import annotations

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.timer import Timer

from workbench.errors import WorkbenchError
from workbench.sanitize import sanitize
from workbench.search.request import SearchRequest
from workbench.search.search_plan import SearchPlan
from workbench.tui.actions import optimize as actions
from workbench.tui.keys import KeyedScreen
from workbench.tui.prompt_searches import PromptSearches, PromptSearchTask, ShownSearch, StoredSearch
from workbench.tui.screen_ui import ScreenUi
from workbench.tui.search_text import (
    describe_counts,
    describe_result,
    describe_search_plan,
    describe_title,
)
from workbench.tui.ui import AcceptedPrompt
from workbench.tui.widgets.dialog import is_open
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.optimize_form import OptimizeForm
from workbench.tui.widgets.plain import Static
from workbench.tui.widgets.search_view import SearchView

POLLS_PER_SECOND = 4
_QUIET_SECONDS = 0.5
"""after the last key in the form, until the plan is made again"""

_BEFORE = """\
Searches for a better prompt.

Candidates are made from the train part and compared on the dev part. At the end, the best one and the hand-written \
prompt meet once on the test part, which the search never sees. Guards refuse a candidate that drops a variable, \
copies answers or does not fit, before it costs a call."""


class OptimizeScreen(KeyedScreen[AcceptedPrompt | None]):
    """Dismissed with the prompt that was accepted, for a pane, or None."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (112, "-wide")]  # noqa: RUF012 - Screen declares it so
    HELP_TEXT: ClassVar[str] = """\
Searches for a better prompt: few-shot examples, instructions, or both. On the left are the candidates under their
parents: ★ best, ● on all dev cases, ○ on some, ↓ dropped, ✗ refused. In the middle is the change and why it was made,
on the right which cases it gained and lost. e tries a version of your own, b starts a new search from a candidate, a
writes one into the library and puts it into the pane. The search continues in the background when you leave, and after
a crash from its journal, as `workbench optimize --resume` does.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back", id="optimize.back"),
        Binding(
            "ctrl+r,f5",
            "do('begin')",
            "run",
            id="optimize.begin",
            tooltip="Start or continue the search",
            priority=True,
        ),
        Binding("p", "do('pause')", "pause", id="optimize.pause", tooltip="Pause the search, or resume it"),
        Binding(
            "f7",
            "do('stop')",
            "stop",
            id="optimize.stop",
            tooltip="Stop the search; ctrl+r continues it",
            priority=True,
        ),
        Binding(
            "a",
            "do('accept')",
            "accept",
            id="optimize.accept",
            tooltip="Accept the candidate into the library and the pane",
        ),
        Binding("e", "do('edit')", "edit", id="optimize.edit", tooltip="Try a version of your own"),
        Binding("b", "do('branch')", "branch", id="optimize.branch", tooltip="Start a new search from this candidate"),
        Binding(
            "t", "do('finish')", "test now", id="optimize.finish", tooltip="End the search here, and run the final test"
        ),
        Binding(
            "c", "toggle_cases", "cases", id="optimize.cases", tooltip="Show the cases instead of the change, or back"
        ),
        Binding("h", "toggle_refused", "hide", id="optimize.hide", tooltip="Show or hide refused candidates"),
        Binding("f2", "toggle_form", "form", id="optimize.form", tooltip="Show or hide the form", priority=True),
        Binding(
            "ctrl+o",
            "do('choose')",
            "choose",
            id="optimize.choose",
            tooltip="Choose a value for the current field, or another search",
            priority=True,
        ),
        Binding("i", "do('show_report')", "report", id="optimize.report", tooltip="The whole result in words"),
        Binding("w", "do('report')", "export", id="optimize.export", tooltip="Export the result as a report"),
    ]

    def __init__(self, searches: PromptSearches, variant: str) -> None:
        """variant: of the pane whose prompt is to get better."""
        super().__init__(id="optimize")
        self.searches, self.variant = searches, variant
        self.ui = ScreenUi(self)
        self.form, self.view = OptimizeForm(searches.session.path, variant), SearchView()
        self._shown: tuple[object, ...] | None = None
        self._quiet: Timer | None = None
        self._problem: WorkbenchError | None = None

    @property
    def current(self) -> ShownSearch | None:
        return self.searches.current

    @property
    def is_form_shown(self) -> bool:
        return self.has_class("-form")

    def compose(self) -> ComposeResult:
        yield Static(id="optimize-title")
        yield Static(id="optimize-outcome")
        with Horizontal(id="optimize-body"):
            yield self.form
            with VerticalScroll(id="optimize-plan", can_focus=False):
                yield Static(_BEFORE, id="optimize-note")
            yield self.view
        yield KeyFooter()

    def on_mount(self) -> None:
        self.set_interval(1 / POLLS_PER_SECOND, self.poll)
        self.show_form(self.current is None)
        self.poll()
        if self.current is None:
            self._look_for_unfinished()
            self._plan_soon()

    def on_resize(self) -> None:
        self._show_title()

    # --- what there is -------------------------------------------------------------------------------------------

    def poll(self) -> None:
        """Show what is new."""
        if not is_open(self):
            return
        current = self.current
        try:
            fresh = current.refresh() if current is not None else False
        except WorkbenchError as error:
            self.searches.current = None
            self.ui.show_error(error)
            return
        self._show_title()
        state = (id(current), current.version, current.paused, current.running) if current is not None else (None,)
        if state == self._shown and not fresh:
            return
        self._shown = state
        self.refresh_bindings()
        if current is not None:
            self._show_search(current)

    def _show_search(self, current: ShownSearch) -> None:
        ended = current.state.ended
        self.set_class(ended is not None, "-ended")
        if ended is not None:
            self.query_one("#optimize-outcome", Static).update(describe_result(ended))
        if current.state.candidates:
            self.view.show(current.state)
        error = current.error
        if error is not None and error is not self._problem and not current.cancelled:
            self._problem = error
            self.ui.show_error(error)

    def _show_title(self) -> None:
        width = max(self.size.width, 20)
        current = self.current
        title = describe_title(current, self.variant, self.searches.session.path.name, width)
        counts = Content.assemble((describe_counts(current, width), "$foreground 60%"))
        self.query_one("#optimize-title", Static).update(
            Content.assemble(title, "\n", counts, "\n", _line(current, width))
        )

    @work(thread=True, group="unfinished")
    def _look_for_unfinished(self) -> None:
        """A search that was killed, or that another process carries out."""
        try:
            found = self.searches.find_unfinished()
        except WorkbenchError:
            return  # damaged: choosing it says how
        if found is not None:
            self.app.call_from_thread(self._offer, found)

    def _offer(self, found: StoredSearch) -> None:
        """Show it, unless something else is shown or typed by now; f2 goes to the form."""
        if is_open(self) and self.current is None and not self.form.is_edited:
            self.searches.current = found
            self.show_form(False)
            self.poll()

    # --- the form ------------------------------------------------------------------------------------------------

    def show_form(self, shown: bool) -> None:
        self.set_class(shown, "-form")
        if shown:
            self.form.query(Input).first().focus()
            self._plan_soon()
        else:
            self.view.list.focus()
        self.refresh_bindings()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._plan_soon()

    def _plan_soon(self) -> None:
        if self._quiet is not None:
            self._quiet.stop()
        self._quiet = self.set_timer(_QUIET_SECONDS, self._plan)

    def _plan(self) -> None:
        if not is_open(self) or not self.is_form_shown:
            return
        try:
            request = self.form.read()
        except WorkbenchError as error:
            self._show_plan(None, error)
            return
        self._make_plan(request)

    @work(thread=True, group="plan", exclusive=True)
    def _make_plan(self, request: SearchRequest) -> None:
        try:
            plan = self.searches.plan(request)
            plan.check()
        except WorkbenchError as error:
            self.app.call_from_thread(self._show_plan, None, error)
            return
        self.app.call_from_thread(self._show_plan, plan, None)

    def _show_plan(self, plan: SearchPlan | None, error: WorkbenchError | None) -> None:
        if not is_open(self):
            return
        narrow = self.has_class("-narrow")
        parts: list[Content | str | tuple[str, str]] = [] if narrow else [(_BEFORE, "$foreground 60%"), "\n\n"]
        if plan is not None:
            parts.append(describe_search_plan(plan))
        if error is not None:
            parts += [(sanitize(error.message), "bold $text-error"), f"\n{sanitize(error.hint)}"]
        self.query_one("#optimize-note", Static).update(Content.assemble(*parts))

    # --- keys ----------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing now are not in the footer."""
        name = str(parameters[0]) if parameters else action
        current, form = self.current, self.is_form_shown
        if name in ("pause", "finish"):
            return not form and self.searches.running
        if name == "stop":
            return self.searches.running
        if name == "begin":
            return not self.searches.running
        if name in ("accept", "edit", "branch"):
            return not form and current is not None and bool(current.state.candidates)
        if name in ("show_report", "report"):
            return not form and current is not None and current.state.ended is not None
        if name in ("toggle_cases", "toggle_refused"):
            return not form and current is not None and (name != "toggle_cases" or self.has_class("-narrow"))
        if name == "toggle_form":
            return current is not None
        if name == "choose":
            return form or not self.searches.running
        return True

    def action_leave(self) -> None:
        """First out of the form, where there is something behind it; then back."""
        if self.current is not None and self.is_form_shown:
            self.show_form(False)
        else:
            self.dismiss(None)

    def action_do(self, name: str) -> None:
        """An action, by its name."""
        self.ui.start(getattr(actions, name)(self, self.ui))

    def action_toggle_form(self) -> None:
        self.show_form(not self.is_form_shown)

    def action_toggle_cases(self) -> None:
        """On a narrow screen, the cases instead of the change, or back."""
        self.toggle_class("-cases")

    def action_toggle_refused(self) -> None:
        self.view.toggle_whole()


def _line(current: ShownSearch | None, width: int) -> Content:
    found = current.shown if isinstance(current, PromptSearchTask) and current.running else None
    if found is None or not found.total:
        return Content.assemble(("─" * width, "$border-blurred"))
    filled = min(width, width * found.done // found.total)
    return Content.assemble(("━" * filled, "$primary"), ("─" * (width - filled), "$primary 40%"))
