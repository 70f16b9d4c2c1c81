"""TrainingScreen: a recipe on the left, what comes of it on the right.

The job is a process of its own that outlives this screen. Flows that open dialogs are in actions/training.py.
"""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer

from workbench.sanitize import sanitize
from workbench.training.recipe import Recipe
from workbench.tui.actions import training as actions
from workbench.tui.footer_order import order_bindings
from workbench.tui.trainings import Trainings
from workbench.tui.widgets.dialog import is_open
from workbench.tui.widgets.job_view import JobView
from workbench.tui.widgets.plain import Static
from workbench.tui.widgets.recipe_form import RecipeForm

LOOKS_PER_SECOND = 2


class TrainingScreen(Screen[str | None]):
    """Dismissed with the adapter that a person wants in a pane, or None."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (112, "-wide")]  # noqa: RUF012 - Screen declares it so
    HELP_TEXT: ClassVar[str] = """\
A recipe says what is trained on what, and how; the defaults suit a small model and a few hundred rows. Before it starts
you see what it means: rows, tokens, steps, and rows exactly as the model will read them, with what it learns marked.
Then the loss and the score on validation cases move as it learns. Leave whenever you like: the job goes on.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back", id="training.back"),
        Binding("ctrl+r,f5", "do('begin')", "train", id="training.start", priority=True),
        Binding("ctrl+t", "do('try_out')", "dry run", id="training.dry_run", priority=True),
        Binding("ctrl+p", "do('pause')", "pause", id="training.pause", priority=True),
        Binding("ctrl+x", "do('stop')", "stop and keep", id="training.stop", priority=True),
        Binding("ctrl+g", "do('resume')", "resume", id="training.resume", priority=True),
        Binding("ctrl+o", "do('choose_job')", "jobs", id="training.jobs", priority=True),
        Binding("ctrl+s", "do('save_recipe_as')", "save recipe", id="training.save", priority=True),
        Binding("ctrl+d", "do('open_pane')", "as a pane", id="training.pane", priority=True),
        Binding("ctrl+e", "do('export')", "export GGUF", id="training.export", priority=True),
        Binding("ctrl+l", "do('show_log')", "log", id="training.log", priority=True),
        Binding("f8", "do('search')", "sweep", id="training.sweep", priority=True),
        Binding("f10", "do('judge')", "verdict", id="training.verdict", priority=True),
        Binding("f12", "do('registry')", "adapters", id="training.registry", priority=True),
        Binding("f2", "turn_form", "form", id="training.form", priority=True, show=False),
    ]

    def __init__(self, trainings: Trainings, recipe: Recipe) -> None:
        super().__init__(id="training")
        self.trainings = trainings
        self._shown = trainings.state
        self.form, self.view = RecipeForm(recipe), JobView(id="job-view")

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """The keys that work now, in the footer's order."""
        return order_bindings(self, super().active_bindings)

    @property
    def recipe(self) -> Recipe:
        return self.form.recipe

    def compose(self) -> ComposeResult:
        yield Static(id="training-title")
        with Horizontal(id="training-body"):
            yield self.form
            with VerticalScroll(id="dry-run"):
                yield Static(id="dry-run-text")
            yield self.view
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self.set_interval(1 / LOOKS_PER_SECOND, self._look)
        self.show_job(self.trainings.job is not None)
        if self.trainings.job is None:
            actions.try_out(self)

    def show_job(self, shown: bool) -> None:
        """Turn the right side to the job, or to what the recipe means."""
        self.set_class(shown, "-job")
        self._show_title()
        if shown:
            self._shown = self.trainings.state
            self.view.show(self.trainings.events, self.trainings.alive)

    def _show_title(self) -> None:
        job = self.trainings.job
        what = f"job {job.id}" if job is not None and self.has_class("-job") else "recipe"
        left = Content.assemble((" training  ", "bold $primary"), what, ("   learns from ", "$foreground 60%"))
        self.query_one("#training-title", Static).update(
            Content.assemble(
                left, self.recipe.bench or self.recipe.prompt, (f", base {self.recipe.base}", "$foreground 60%")
            )
        )

    def show_dry_run(self, text: Content) -> None:
        self.query_one("#dry-run-text", Static).update(text)

    def say(self, text: str) -> None:
        """A few words where the dry run will stand."""
        self.show_dry_run(Content(sanitize(text)))

    def _look(self) -> None:
        """Show what is new, whoever read it: the bench behind this screen looks at the same job."""
        if not is_open(self):
            return
        self.trainings.look()
        if self.trainings.state != self._shown and self.has_class("-job"):
            self.show_job(True)

    @on(RecipeForm.Edited)
    def _edited(self) -> None:
        self.show_job(False)
        self.show_dry_run(Content("The recipe has changed. ctrl+t shows what it means, ctrl+r trains."))

    def action_do(self, name: str) -> None:
        """A flow, by its name."""
        getattr(actions, name)(self)

    def action_turn_form(self) -> None:
        self.form.toggle_class("-hidden")
