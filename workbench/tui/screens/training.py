"""TrainingScreen: a recipe on the left, its dry run or its job on the right. The job outlives this screen."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content

from workbench.sanitize import sanitize
from workbench.training.recipe import Recipe
from workbench.tui.actions import training as actions
from workbench.tui.auto_values import describe_data, of_job
from workbench.tui.keys import KeyedScreen
from workbench.tui.screen_ui import ScreenUi
from workbench.tui.training_jobs import TrainingJobs
from workbench.tui.widgets.dialog import is_open
from workbench.tui.widgets.job_view import JobView, find_start
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.plain import Static
from workbench.tui.widgets.recipe_form import RecipeForm

POLLS_PER_SECOND = 2


class TrainingScreen(KeyedScreen[str | None]):
    """Dismissed with the adapter to open in a pane, or None."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (112, "-wide")]  # noqa: RUF012 - Screen declares it so
    HELP_TEXT: ClassVar[str] = """\
A recipe describes a training; its defaults suit a small model and a few hundred rows. The dry run shows what it would
do: rows, tokens, steps, and rows exactly as the model sees them, with the trained tokens highlighted. While it trains,
loss and validation score are plotted. You can leave at any time: the job continues.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back", id="training.back", tooltip="Back to the bench"),
        Binding("ctrl+r,f5", "do('begin')", "train", id="training.start", tooltip="Start the training", priority=True),
        Binding(
            "ctrl+t",
            "do('try_out')",
            "dry run",
            id="training.dry_run",
            tooltip="Dry run: rows, tokens, time and what is learned, without training",
            priority=True,
        ),
        Binding("f2", "toggle_form", "form", id="training.form", tooltip="Show or hide the form", priority=True),
        Binding(
            "f6",
            "do('pause_or_resume')",
            "pause/resume",
            id="training.pause",
            tooltip="Pause the job, or resume it",
            priority=True,
        ),
        Binding(
            "f7",
            "do('stop')",
            "stop",
            id="training.stop",
            tooltip="Stop the job, or cancel a dry run or an export",
            priority=True,
        ),
        Binding("ctrl+o", "do('choose_job')", "jobs", id="training.jobs", tooltip="Show an earlier job", priority=True),
        Binding(
            "ctrl+s",
            "do('save_recipe_as')",
            "save",
            id="training.save",
            tooltip="Save the recipe as a file",
            priority=True,
        ),
        Binding(
            "f4", "do('open_pane')", "open", id="training.pane", tooltip="Open the adapter in a pane", priority=True
        ),
        Binding(
            "f9", "do('export')", "export", id="training.export", tooltip="Export the adapter to GGUF", priority=True
        ),
        Binding("ctrl+l", "do('show_log')", "log", id="training.log", tooltip="Log of the job", priority=True),
        Binding(
            "f11",
            "do('show_samples')",
            "samples",
            id="training.samples",
            tooltip="Answers that the job sampled, by update",
            priority=True,
        ),
        Binding(
            "f8",
            "do('search')",
            "sweep",
            id="training.sweep",
            tooltip="Hyper-parameter sweep over this recipe",
            priority=True,
        ),
        Binding(
            "f10",
            "do('judge')",
            "verdict",
            id="training.verdict",
            tooltip="Verdict: this adapter against the best prompt",
            priority=True,
        ),
        Binding("f12", "do('registry')", "adapters", id="training.registry", tooltip="Trained adapters", priority=True),
    ]

    def __init__(self, jobs: TrainingJobs, recipe: Recipe) -> None:
        super().__init__(id="training")
        self.jobs = jobs
        self.ui = ScreenUi(self)
        self._shown = jobs.state
        self.form, self.view = RecipeForm(recipe, jobs.list_bases()), JobView(id="job-view")

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
        yield KeyFooter()

    def on_mount(self) -> None:
        self.set_interval(1 / POLLS_PER_SECOND, self._poll)
        self.show_job(self.jobs.job is not None)
        if self.jobs.job is None:
            self.ui.start(actions.try_out(self, self.ui))

    def show_job(self, shown: bool) -> None:
        """Show the job on the right, or the dry run."""
        self.set_class(shown, "-job")
        self._show_title()
        if shown:
            self._shown = self.jobs.state
            self.view.show(self.jobs.events, self.jobs.alive)
            began = find_start(self.jobs.events)
            if began is not None and self.jobs.job is not None and self.jobs.job.recipe == self.recipe:
                data = describe_data(self.recipe, began.rows, began.validation_rows)
                self.form.show_auto(of_job(self.recipe, began), data)

    def _show_title(self) -> None:
        job = self.jobs.job
        what = f"job {job.id}" if job is not None and self.has_class("-job") else "recipe"
        left = Content.assemble((" training  ", "bold $primary"), what, ("   on ", "$foreground 60%"))
        self.query_one("#training-title", Static).update(
            Content.assemble(
                left, self.recipe.bench or self.recipe.prompt, (f", base {self.recipe.base}", "$foreground 60%")
            )
        )

    def show_dry_run(self, text: Content) -> None:
        self.query_one("#dry-run-text", Static).update(text)

    def show_note(self, text: str) -> None:
        """A short text in place of the dry run."""
        self.show_dry_run(Content(sanitize(text)))

    def _poll(self) -> None:
        """Show what is new, whoever read it: the bench behind this screen polls the same job."""
        if not is_open(self):
            return
        self.jobs.poll()
        if self.jobs.state != self._shown and self.has_class("-job"):
            self.show_job(True)

    @on(RecipeForm.RecipeEdited)
    def _edited(self) -> None:
        self.show_job(False)
        self.show_dry_run(Content("The recipe has changed. ctrl+t does a dry run, ctrl+r trains."))

    def action_do(self, name: str) -> None:
        """An action, by its name."""
        self.ui.start(getattr(actions, name)(self, self.ui))

    def action_toggle_form(self) -> None:
        """Hide the form, or show it; a job has a narrow screen to itself until then."""
        if self.has_class("-narrow") and self.has_class("-job"):
            self.toggle_class("-form")
        else:
            self.form.toggle_class("-hidden")
