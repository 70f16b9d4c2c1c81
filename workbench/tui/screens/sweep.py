"""SweepScreen: a hyper-parameter sweep: its search space on the left, the ranked trials on the right."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content

from workbench.errors import TrainingError
from workbench.sanitize import sanitize
from workbench.training.job import JobInfo
from workbench.training.recipe import Recipe
from workbench.training.search_space import DEFAULT_SPACE, SearchSpace, format_values, parse_values
from workbench.training.sweep import Ranking, Trial
from workbench.tui.actions import sweep as actions
from workbench.tui.keys import KeyedScreen
from workbench.tui.screen_ui import ScreenUi
from workbench.tui.sweeps import Sweeps, SweepTask
from workbench.tui.widgets.dialog import is_open
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.plain import Label, Static
from workbench.units import format_duration

POLLS_PER_SECOND = 1
_LINES = 5
_TRIALS = 8
_EXPLANATION = """\
A recipe field and the values to try, such as method.rank=4,8,16, or a range: training.learning_rate=1e-4..5e-3. Each \
trial is a training; poor ones are pruned early. Trials are compared on the validation split, not on the test split."""

Part = str | tuple[str, str]


class SweepScreen(KeyedScreen[Recipe | None]):
    """Dismissed with the recipe of the best trial, or None."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (112, "-wide")]  # noqa: RUF012 - Screen declares it so
    HELP_TEXT: ClassVar[str] = """\
A hyper-parameter sweep: trains the recipe with different values and ranks the trials by their score on the validation
split, with its interval. Trials that may be as good as the best are marked. The same recipe and ranges continue the
same study, here and in `workbench sweep`. f4 copies the best values into the recipe.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back", id="sweep.back"),
        Binding(
            "ctrl+r,f5", "do('begin')", "run", id="sweep.begin", tooltip="Start or continue the sweep", priority=True
        ),
        Binding("f7", "do('stop')", "stop", id="sweep.stop", tooltip="Stop the sweep", priority=True),
        Binding(
            "f4",
            "do('take_best')",
            "use best",
            id="sweep.best",
            tooltip="Put the best values into the recipe",
            priority=True,
        ),
    ]

    def __init__(self, sweeps: Sweeps, recipe: Recipe, folder: Path) -> None:
        super().__init__(id="sweep")
        self.sweeps, self.recipe, self.folder = sweeps, recipe, folder
        self.ui = ScreenUi(self)
        self._shown: tuple[int, int] | None = None

    def compose(self) -> ComposeResult:
        lines = [format_values(key, held) for key, held in DEFAULT_SPACE.items()]
        yield Static(id="sweep-title")
        with Horizontal(id="sweep-body"):
            with Vertical(id="sweep-form"):
                with Horizontal(classes="field"):
                    yield Label("trials")
                    yield Input(str(_TRIALS), id="sweep-trials", compact=True)
                for index in range(_LINES):
                    with Horizontal(classes="field"):
                        yield Label("values" if index == 0 else "")
                        text = lines[index] if index < len(lines) else ""
                        yield Input(text, id=f"sweep-{index}", compact=True)
                yield Label(_EXPLANATION, id="sweep-explanation")
            with VerticalScroll(id="sweep-view"):
                yield Static(id="sweep-table")
        yield KeyFooter()

    def on_mount(self) -> None:
        self.query_one("#sweep-trials", Input).focus()
        self.set_interval(1 / POLLS_PER_SECOND, self.poll)
        self.poll()

    def read(self) -> tuple[int, SearchSpace]:
        """How often, and what is tried. Raises TrainingError for what cannot be understood."""
        trials = self.query_one("#sweep-trials", Input).value.strip()
        if not trials.isdecimal() or not int(trials):
            raise TrainingError(f"Trials: expected a whole number from 1, found {trials!r}.")
        typed = [self.query_one(f"#sweep-{index}", Input).value.strip() for index in range(_LINES)]
        space = dict(parse_values(text) for text in typed if text)
        if not space:
            raise TrainingError("No values to try.", "Enter a field and values, such as method.rank=4,8,16")
        return int(trials), space

    def poll(self) -> None:
        """Show what is new."""
        if not is_open(self):
            return
        current = self.sweeps.current
        if current is not None and current.running:
            self._read_trial(current)
        state = (id(current), current.version) if current is not None else (0, 0)
        if state == self._shown:
            return
        self._shown = state
        self._show_title(None)
        self.refresh_bindings()
        if current is not None and current.error is not None:
            self.ui.show_error(current.error)
        ranking = current.ranking if current is not None else None
        text = describe_ranking(ranking) if ranking is not None else Content("No trials yet. ctrl+r starts.")
        self.query_one("#sweep-table", Static).update(text)

    @work(thread=True, group="trial", exclusive=True)
    def _read_trial(self, task: SweepTask) -> None:
        info = task.read_trial()
        if info is not None:
            self.app.call_from_thread(self._show_title, info)

    def _show_title(self, info: JobInfo | None) -> None:
        if not is_open(self):
            return
        current = self.sweeps.current
        state = ""
        if current is not None:
            state = sanitize(current.stage) if current.running else "stopped" if current.cancelled else ""
        if info is not None and info.steps:
            left = f", {format_duration(info.seconds_left)} left" if info.seconds_left is not None else ""
            state += f"   step {info.step}/{info.steps}{left}"
        title = Content.assemble((" sweep  ", "bold $primary"), sanitize(self.recipe.name or "recipe"))
        line = "─" * max(self.size.width, 1)
        self.query_one("#sweep-title", Static).update(
            Content.assemble(title, (f"   {state}", "$accent"), "\n", (line, "$border-blurred"))
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing now are not in the footer."""
        if parameters[:1] == ("stop",):
            return self.sweeps.running
        if parameters[:1] == ("take_best",):
            current = self.sweeps.current
            return current is not None and current.ranking is not None and current.ranking.best is not None
        return True

    def action_do(self, name: str) -> None:
        """An action, by its name."""
        self.ui.start(getattr(actions, name)(self, self.ui))


def describe_ranking(ranking: Ranking) -> Content:
    """The trials, the best first, with what was tried and the interval of each."""
    fields = list(dict.fromkeys(key for trial in ranking.trials for key in trial.values))
    widths = [max(10, len(field.rpartition(".")[2]) + 2) for field in fields]
    heads = "".join(f"{field.rpartition('.')[2]:<{width}}" for field, width in zip(fields, widths, strict=True))
    head = f"{'trial':<7}{heads}{ranking.metric.replace('_', ' ') or 'score':<26}state"
    parts: list[Part] = [(head, "$foreground 60%")]
    for index, trial in enumerate(ranking.trials):
        values = "".join(f"{_show(trial.values.get(f)):<{w}}" for f, w in zip(fields, widths, strict=True))
        best = index == 0 and trial.score is not None
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
