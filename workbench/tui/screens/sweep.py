"""SweepScreen: a recipe tried with other numbers: what is tried on the left, the trials ranked at the right.

Knows nothing of how values are chosen or judged (training/sweep.py).
"""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer

from workbench.errors import TrainingError
from workbench.sanitize import sanitize
from workbench.training.job import JobInfo
from workbench.training.recipe import Recipe
from workbench.training.space import USUAL, Space, read_values, write_values
from workbench.training.sweep import Ranking, Trial
from workbench.tui.actions import sweep as actions
from workbench.tui.actions.flow import say
from workbench.tui.figures import show_seconds
from workbench.tui.footer_order import order_bindings
from workbench.tui.sweeping import Sweeping
from workbench.tui.widgets.dialog import is_open
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.plain import Label, Static

LOOKS_PER_SECOND = 1
_LINES = 5
_TRIALS = 8
_EXPLANATION = """\
A field of the recipe, then the values to try: method.rank=4,8,16, or a range: training.learning_rate=1e-4..5e-3. Each \
trial is a training of its own. Those that fall behind are ended early. They are compared on the validation split; the \
test split is left alone."""

Part = str | tuple[str, str]


class SweepScreen(Screen[Recipe | None]):
    """Dismissed with the recipe to go on with, or None."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (112, "-wide")]  # noqa: RUF012 - Screen declares it so
    HELP_TEXT: ClassVar[str] = """\
Tries the recipe with other numbers, each time as a training of its own, and ranks the trials by their score on the
validation split, with its interval. Those that may be as good as the best are marked: more cases would tell. The same
recipe and ranges go on with the same study, here and in `workbench sweep`. ctrl+d takes the best numbers into the form.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back", id="sweep.back"),
        Binding("ctrl+r,f5", "do('begin')", "search", id="sweep.begin", priority=True),
        Binding("ctrl+x", "do('stop')", "stop", id="sweep.stop", priority=True),
        Binding("ctrl+d", "do('take_best')", "best as recipe", id="sweep.best", priority=True),
    ]

    def __init__(self, sweeping: Sweeping, recipe: Recipe, folder: Path) -> None:
        super().__init__(id="sweep")
        self.sweeping, self.recipe, self.folder = sweeping, recipe, folder
        self._shown = -1

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """The keys that work now, in the footer's order."""
        return order_bindings(self, super().active_bindings)

    def compose(self) -> ComposeResult:
        lines = [write_values(key, held) for key, held in USUAL.items()]
        yield Static(id="sweep-title")
        with Horizontal(id="sweep-body"):
            with Vertical(id="sweep-form"):
                with Horizontal(classes="field"):
                    yield Label("trials")
                    yield Input(str(_TRIALS), id="sweep-trials", compact=True)
                for place in range(_LINES):
                    with Horizontal(classes="field"):
                        yield Label("to try" if place == 0 else "")
                        text = lines[place] if place < len(lines) else ""
                        yield Input(text, id=f"sweep-{place}", compact=True)
                yield Label(_EXPLANATION, id="sweep-explanation")
            with VerticalScroll(id="sweep-view"):
                yield Static(id="sweep-table")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self.query_one("#sweep-trials", Input).focus()
        self.set_interval(1 / LOOKS_PER_SECOND, self.look)
        self.look()

    def read(self) -> tuple[int, Space]:
        """How often, and what is tried. Raises TrainingError for what cannot be understood."""
        trials = self.query_one("#sweep-trials", Input).value.strip()
        if not trials.isdecimal() or not int(trials):
            raise TrainingError(f"Trials: expected a whole number from 1, found {trials!r}.")
        typed = [self.query_one(f"#sweep-{place}", Input).value.strip() for place in range(_LINES)]
        space = dict(read_values(text) for text in typed if text)
        if not space:
            raise TrainingError("There is nothing to try.", "Such as method.rank=4,8,16")
        return int(trials), space

    def look(self) -> None:
        """Show what is new."""
        if not is_open(self):
            return
        if self.sweeping.running:
            self._look_at_trial()
        if self.sweeping.version == self._shown:
            return
        self._shown = self.sweeping.version
        self._show_title(None)
        self.refresh_bindings()
        if self.sweeping.error is not None and not self.sweeping.running:
            say(self, self.sweeping.error)
        ranking = self.sweeping.ranking
        told = describe_ranking(ranking) if ranking is not None else Content("No trial yet. ctrl+r begins.")
        self.query_one("#sweep-table", Static).update(told)

    @work(thread=True, group="trial", exclusive=True)
    def _look_at_trial(self) -> None:
        info = self.sweeping.look_at_trial()
        if info is not None:
            self.app.call_from_thread(self._show_title, info)

    def _show_title(self, info: JobInfo | None) -> None:
        if not is_open(self):
            return
        sweeping = self.sweeping
        state = sanitize(sweeping.said) if sweeping.running else "stopped" if sweeping.cancelled else ""
        if info is not None and info.steps:
            left = f", {show_seconds(info.seconds_left)} left" if info.seconds_left is not None else ""
            state += f"   update {info.step}/{info.steps}{left}"
        title = Content.assemble((" sweep  ", "bold $primary"), sanitize(self.recipe.name or "recipe"))
        line = "─" * max(self.size.width, 1)
        self.query_one("#sweep-title", Static).update(
            Content.assemble(title, (f"   {state}", "$accent"), "\n", (line, "$border-blurred"))
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing now are not in the footer."""
        if parameters[:1] == ("stop",):
            return self.sweeping.running
        if parameters[:1] == ("take_best",):
            return self.sweeping.ranking is not None and self.sweeping.ranking.best is not None
        return True

    def action_do(self, name: str) -> None:
        """A flow, by its name."""
        getattr(actions, name)(self)


def describe_ranking(ranking: Ranking) -> Content:
    """The trials, the best first, with what was tried and the interval of each."""
    fields = list(dict.fromkeys(key for trial in ranking.trials for key in trial.values))
    widths = [max(10, len(field.rpartition(".")[2]) + 2) for field in fields]
    heads = "".join(f"{field.rpartition('.')[2]:<{width}}" for field, width in zip(fields, widths, strict=True))
    head = f"{'trial':<7}{heads}{ranking.metric.replace('_', ' ') or 'score':<26}state"
    parts: list[Part] = [(head, "$foreground 60%")]
    for place, trial in enumerate(ranking.trials):
        values = "".join(f"{_show(trial.values.get(f)):<{w}}" for f, w in zip(fields, widths, strict=True))
        best = place == 0 and trial.score is not None
        mark = "  best" if best else "  may be as good" if trial.number in ranking.close else ""
        style = "bold $text-success" if best else "$foreground 60%" if trial.score is None else ""
        parts.append((f"\n{trial.number:<7}{values}{_score(trial):<26}{trial.outcome}{mark}", style))
        if trial.reason:
            parts.append((f"\n       {sanitize(trial.reason)}", "$text-warning"))
    return Content.assemble(*(part for part in parts if part[1] or part[0]))


def _score(trial: Trial) -> str:
    if trial.score is None:
        return "–"
    interval = "" if isnan(trial.score.low) else f"  {trial.score.low:.3f} – {trial.score.high:.3f}"
    return f"{trial.score.value:.3f}{interval}"


def _show(value: object) -> str:
    return "–" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
