"""VerdictScreen: whether an adapter was worth its training: what is weighed on the left, then the verdict on one page.

The verdict is carried out beside the screen and goes on when one leaves it. Flows that open dialogs are in
actions/verdict.py.
"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer

from workbench.evaluation.words import name_metric
from workbench.sanitize import sanitize
from workbench.training.verdict import Verdict
from workbench.tui.actions import verdict as actions
from workbench.tui.figures import show_seconds
from workbench.tui.footer_order import order_bindings
from workbench.tui.judging import Judging
from workbench.tui.verdicts import Verdicts
from workbench.tui.widgets.dialog import is_open
from workbench.tui.widgets.plain import Static
from workbench.tui.widgets.verdict_form import VerdictForm
from workbench.tui.widgets.verdict_view import VerdictView

LOOKS_PER_SECOND = 4

_BEFORE = """\
Is a better prompt enough, or was the adapter worth its training?

The best prompt is chosen on the validation split. Then the test split, which nobody has looked at, is answered by

  zero-shot          the short prompt
  few-shot           the prompt with examples
  best prompt        the best of the bench's prompts
  adapter            the adapter with the short prompt
  adapter, few-shot  the adapter with examples

each question once, on this machine. What comes of it: the scores with their intervals, which differences are more \
than chance, tokens and time of a request, what a thousand of them cost, what the training cost and after how many \
requests it has paid for itself, and a recommendation with its reasons and with what may overturn it.

ctrl+r begins."""


class VerdictScreen(Screen[str | None]):
    """Dismissed with the adapter that a person wants in a pane, or None."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (112, "-wide")]  # noqa: RUF012 - Screen declares it so
    HELP_TEXT: ClassVar[str] = """\
Weighs an adapter against the best prompt, on the test split, and says which to use, why, and what may overturn that.
The letters in the table are those of the plot: score against the tokens of a request. Prices come from the bench, or
from what you type (f2). It goes on while you are elsewhere. w writes it as HTML, Markdown or JSON; `workbench verdict`
does the same without a screen.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back", id="verdict.back"),
        Binding("ctrl+r,f5", "do('begin')", "judge", id="verdict.begin", priority=True),
        Binding("ctrl+o", "do('choose')", "choose", id="verdict.choose", priority=True),
        Binding("ctrl+x", "do('stop')", "stop", id="verdict.stop", priority=True),
        Binding("f2", "turn_form", "what is weighed", id="verdict.form", priority=True),
        Binding("w", "do('report')", "report", id="verdict.report"),
        Binding("m", "turn_metric", "next metric", id="verdict.metric"),
        Binding("ctrl+d", "do('open_pane')", "as a pane", id="verdict.pane", priority=True),
    ]

    def __init__(self, verdicts: Verdicts, adapter: str = "") -> None:
        """adapter: the one to weigh; "" leaves it to the bench."""
        super().__init__(id="verdict")
        self.verdicts = verdicts
        self.metric = ""
        self.form, self.view = VerdictForm(verdicts.session.path, adapter), VerdictView()
        self._shown: tuple[int, int] | None = None

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """The keys that work now, in the footer's order."""
        return order_bindings(self, super().active_bindings)

    @property
    def current(self) -> Judging | None:
        return self.verdicts.current

    @property
    def verdict(self) -> Verdict | None:
        """The one on show."""
        return self.current.verdict if self.current is not None else None

    def compose(self) -> ComposeResult:
        yield Static(id="verdict-title")
        with Horizontal(id="verdict-body"):
            yield self.form
            with VerticalScroll(id="verdict-before", can_focus=False):
                yield Static(_BEFORE, id="verdict-told")
            yield self.view
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self.set_interval(1 / LOOKS_PER_SECOND, self.look)
        self.show_form(self.current is None)
        self.call_after_refresh(self._show_title)
        self.look()

    def on_resize(self) -> None:
        self._show_title()

    def look(self) -> None:
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
        self._show_title()
        self.refresh_bindings()
        if self.verdict is not None:
            self._show_verdict(self.verdict)
        elif current is not None:
            self._tell(current)

    def _show_verdict(self, verdict: Verdict) -> None:
        self.metric = self.metric if self.metric in verdict.arms[0].scores else verdict.metric.name
        self.set_class(True, "-verdict")
        self.view.show(verdict, self.metric)
        if self.focused is None:
            self.view.focus()

    def _tell(self, current: Judging) -> None:
        """Where the verdict will stand: what is being done, or why there is none."""
        self.set_class(False, "-verdict")
        told = self.query_one("#verdict-told", Static)
        if current.error is not None and not current.cancelled:
            hint = sanitize(current.error.hint)
            message = (sanitize(current.error.message), "bold $text-error")
            told.update(Content.assemble("There is no verdict.\n\n", message, f"\n\n{hint}"))
        elif current.running:
            told.update(Content("The table stands here once the last answer is there. Leave if you like: it goes on."))
        else:
            told.update(Content("It was stopped before the verdict was reached. ctrl+r begins again."))

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
        if name in ("report", "open_pane"):
            return self.verdict is not None
        if name == "turn_metric":
            return self.verdict is not None and len(self.verdict.metrics) > 1
        if name == "choose":
            return self.has_class("-form")
        return True

    def action_leave(self) -> None:
        """First out of the form, where there is something behind it; then back."""
        if self.current is not None and self.has_class("-form"):
            self.action_turn_form()
        else:
            self.dismiss(None)

    def action_do(self, name: str) -> None:
        """A flow, by its name."""
        getattr(actions, name)(self)

    def action_turn_form(self) -> None:
        self.show_form(not self.has_class("-form"))
        self.refresh_bindings()

    def action_turn_metric(self) -> None:
        """The table and the plot by the next metric."""
        verdict = self.verdict
        if verdict is not None:
            names = [one.name for one in verdict.metrics]
            self.metric = names[(names.index(self.metric) + 1) % len(names)] if self.metric in names else names[0]
            self._show_verdict(verdict)
            self._show_title()


def _state(current: Judging | None) -> str:
    """How the verdict stands, in words."""
    if current is None:
        return ""
    if not current.running:
        return "stopped" if current.cancelled else "no verdict" if current.verdict is None else "done"
    if current.cancelled:
        return "stopping"
    found = current.progress
    if found is None or not found.total:
        return current.stage
    if found.state == "loading":
        return f"{current.stage}: loading {sanitize(found.model)}"
    left = f", {show_seconds(found.seconds_left)} left" if found.seconds_left is not None else ""
    failed = f", {found.failed:,} failed" if found.failed else ""
    return f"{current.stage}: {found.done / found.total:.0%}{left}{failed}"


def _line(current: Judging | None, width: int) -> Content:
    found = current.progress if current is not None and current.running else None
    if found is None or not found.total:
        return Content.assemble(("─" * width, "$border-blurred"))
    filled = width * found.done // found.total
    return Content.assemble(("━" * filled, "$primary"), ("─" * (width - filled), "$primary 40%"))
