"""VerdictScreen: whether an adapter or an optimized prompt was worth making: a form, and the verdict on one page.

The verdict is made in the background and continues when the screen is left.
"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content

from workbench.analysis.narrative import name_metric
from workbench.sanitize import sanitize
from workbench.training.verdict import Verdict
from workbench.tui.actions import verdict as actions
from workbench.tui.keys import KeyedScreen
from workbench.tui.screen_ui import ScreenUi
from workbench.tui.verdicts import Verdicts, VerdictTask
from workbench.tui.widgets.dialog import is_open
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.plain import Static
from workbench.tui.widgets.verdict_form import VerdictForm
from workbench.tui.widgets.verdict_view import VerdictView
from workbench.units import format_duration

POLLS_PER_SECOND = 4

_BEFORE = """\
Is a better prompt enough, or was the adapter worth its training?

The best prompt is chosen on the validation split. Then the untouched test split is answered by

  zero-shot                  the short prompt
  few-shot                   the prompt with examples
  best prompt                the best of the bench's hand-written prompts
  optimized prompt           the one that a search made, where there is one
  adapter                    the adapter with the short prompt
  adapter, few-shot          the adapter with examples
  adapter, optimized prompt  the adapter on the optimized prompt

each case once, on this machine. The verdict has the scores with their intervals, which differences are significant, \
tokens, latency and cost per request, what search and training cost and after how many requests they break even, and a \
recommendation with its reasons and caveats.

ctrl+r starts."""


class VerdictScreen(KeyedScreen[str | None]):
    """Dismissed with the adapter to open in a pane, or None."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (112, "-wide")]  # noqa: RUF012 - Screen declares it so
    HELP_TEXT: ClassVar[str] = """\
Compares an adapter and an optimized prompt with the best hand-written one on the test split, and says which to use and
why. The letters in the table are those of the plot: score vs tokens per request. Prices come from the bench, or from
the form (f2). It continues in the background when you leave. w exports it as HTML, Markdown or JSON, as
`workbench verdict` does on the command line.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back", id="verdict.back"),
        Binding("ctrl+r,f5", "do('begin')", "run", id="verdict.begin", tooltip="Make the verdict", priority=True),
        Binding(
            "ctrl+o",
            "do('choose')",
            "choose",
            id="verdict.choose",
            tooltip="Choose a value for the current field",
            priority=True,
        ),
        Binding("f7", "do('stop')", "stop", id="verdict.stop", tooltip="Stop the verdict", priority=True),
        Binding("f2", "toggle_form", "edit", id="verdict.form", tooltip="Show or hide the form", priority=True),
        Binding("w", "do('report')", "export", id="verdict.report", tooltip="Export the verdict as a report"),
        Binding("m", "next_metric", "metric", id="verdict.metric", tooltip="Next metric"),
        Binding(
            "f4", "do('open_pane')", "open", id="verdict.pane", tooltip="Open the adapter in a pane", priority=True
        ),
    ]

    def __init__(self, verdicts: Verdicts, adapter: str = "") -> None:
        """adapter: the one to compare; "" leaves it to the bench."""
        super().__init__(id="verdict")
        self.verdicts = verdicts
        self.ui = ScreenUi(self)
        self.metric = ""
        self.form, self.view = VerdictForm(verdicts.session.path, adapter), VerdictView()
        self._shown: tuple[int, int] | None = None

    @property
    def current(self) -> VerdictTask | None:
        return self.verdicts.current

    @property
    def verdict(self) -> Verdict | None:
        """The one on show."""
        return self.current.result if self.current is not None else None

    def compose(self) -> ComposeResult:
        yield Static(id="verdict-title")
        with Horizontal(id="verdict-body"):
            yield self.form
            with VerticalScroll(id="verdict-before", can_focus=False):
                yield Static(_BEFORE, id="verdict-note")
            yield self.view
        yield KeyFooter()

    def on_mount(self) -> None:
        self.set_interval(1 / POLLS_PER_SECOND, self.poll)
        self.show_form(self.current is None)
        self.call_after_refresh(self._show_title)
        self.poll()

    def on_resize(self) -> None:
        self._show_title()

    def poll(self) -> None:
        """Show what is new."""
        if not is_open(self):
            return
        current = self.current
        state = (id(current), current.version) if current is not None else None
        if current is not None and current.running:
            self._show_title()
        if state == self._shown:
            return
        self._shown = state
        self.refresh_bindings()
        if self.verdict is not None:
            self._show_verdict(self.verdict)
        elif current is not None:
            self._show_state(current)
        self._show_title()

    def _show_verdict(self, verdict: Verdict) -> None:
        self.metric = self.metric if self.metric in verdict.conditions[0].scores else verdict.metric.name
        self.set_class(True, "-verdict")
        self.view.show(verdict, self.metric)
        if self.focused is None:
            self.view.focus()

    def _show_state(self, current: VerdictTask) -> None:
        """Where the verdict will stand: what is being done, or why there is none."""
        self.set_class(False, "-verdict")
        note = self.query_one("#verdict-note", Static)
        if current.error is not None and not current.cancelled:
            hint = sanitize(current.error.hint)
            message = (sanitize(current.error.message), "bold $text-error")
            note.update(Content.assemble("No verdict.\n\n", message, f"\n\n{hint}"))
        elif current.running:
            note.update(Content("The table appears here once the last answer is in. You can leave: it continues."))
        else:
            note.update(Content("Stopped before there was a verdict. ctrl+r starts again."))

    def _show_title(self) -> None:
        width = max(self.size.width, 20)
        current, bench = self.current, self.verdicts.session.path.name
        wanted = current.wanted if current is not None else None
        adapter = self.verdict.training.adapter if self.verdict is not None else wanted.adapter if wanted else ""
        what = f"{wanted.bench.name if wanted else bench}" + (f"   adapter {sanitize(adapter)}" if adapter else "")
        metric = f"   by {name_metric(self.metric)}" if self.verdict is not None else ""
        left = Content.assemble((" verdict  ", "bold $primary"), what, (metric, "$foreground 60%"))
        right = Content.assemble((_state(current), "$accent"), " ")
        gap = " " * max(width - left.cell_length - right.cell_length, 1)
        self.query_one("#verdict-title", Static).update(Content.assemble(left, gap, right, "\n", _line(current, width)))

    def show_form(self, shown: bool) -> None:
        self.set_class(shown, "-form")
        if shown:
            self.form.query("#verdict-adapter").first().focus()
        else:
            self.view.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing now are not in the footer."""
        name = str(parameters[0]) if parameters else action
        if name == "stop":
            return self.verdicts.running
        if name == "report":
            return self.verdict is not None
        if name == "open_pane":
            return self.verdict is not None and bool(self.verdict.training.adapter)
        if name == "next_metric":
            return self.verdict is not None and len(self.verdict.metrics) > 1
        if name == "choose":
            return self.has_class("-form")
        return True

    def action_leave(self) -> None:
        """First out of the form, where there is something behind it; then back."""
        if self.current is not None and self.has_class("-form"):
            self.action_toggle_form()
        else:
            self.dismiss(None)

    def action_do(self, name: str) -> None:
        """An action, by its name."""
        self.ui.start(getattr(actions, name)(self, self.ui))

    def action_toggle_form(self) -> None:
        self.show_form(not self.has_class("-form"))
        self.refresh_bindings()

    def action_next_metric(self) -> None:
        """The table and the plot by the next metric."""
        verdict = self.verdict
        if verdict is not None:
            names = [one.name for one in verdict.metrics]
            self.metric = names[(names.index(self.metric) + 1) % len(names)] if self.metric in names else names[0]
            self._show_verdict(verdict)
            self._show_title()


def _state(current: VerdictTask | None) -> str:
    """How the verdict stands, in words."""
    if current is None:
        return ""
    if not current.running:
        return "stopped" if current.cancelled else "no verdict" if current.result is None else "done"
    if current.cancelled:
        return "stopping"
    found = current.progress
    if found is None or not found.total:
        return current.stage
    if found.state == "loading":
        return f"{current.stage}: loading {sanitize(found.model)}"
    left = f", {format_duration(found.seconds_left)} left" if found.seconds_left is not None else ""
    failed = f", {found.failed:,} failed" if found.failed else ""
    return f"{current.stage}: {found.done / found.total:.0%}{left}{failed}"


def _line(current: VerdictTask | None, width: int) -> Content:
    found = current.progress if current is not None and current.running else None
    if found is None or not found.total:
        return Content.assemble(("─" * width, "$border-blurred"))
    filled = width * found.done // found.total
    return Content.assemble(("━" * filled, "$primary"), ("─" * (width - filled), "$primary 40%"))
