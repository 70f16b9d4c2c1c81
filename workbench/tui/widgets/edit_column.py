"""EditColumn: the left side of the bench: the prompt, its examples, the case, its passages, and the context meter."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical

from workbench.errors import WorkbenchError
from workbench.prompting.context_fit import Budget
from workbench.runs.bench import Variant
from workbench.runs.step_edits import EditTarget
from workbench.tui.widgets.case_view import CaseView
from workbench.tui.widgets.context_meter import ContextMeter
from workbench.tui.widgets.example_list import ExampleList
from workbench.tui.widgets.find_bar import FindBar
from workbench.tui.widgets.passage_list import PassageList
from workbench.tui.widgets.plain import plain_line
from workbench.tui.widgets.prompt_editor import PromptEditor

_LEAST_PERCENT, _MOST_PERCENT = 20, 75


class EditColumn(Vertical):
    """The left side of the bench screen."""

    def __init__(self) -> None:
        super().__init__(id="edit")
        self.examples, self.case, self.meter = ExampleList(), CaseView(), ContextMeter()
        self.passages = PassageList()
        self.editor = PromptEditor(self.case.read_columns)
        self.find_bar = FindBar(self.editor)
        self._percent = 0

    def compose(self) -> ComposeResult:
        yield self.editor
        yield self.find_bar
        yield self.examples
        yield self.case
        yield self.passages
        yield self.meter

    def on_prompt_editor_find_requested(self) -> None:
        self.find_bar.open()

    def show_prompt(self, target: EditTarget, variant: Variant) -> None:
        """A text of a variant's prompt, ready to be edited; the cursor stays when the text is already there.

        What was typed before has to be taken first, see PromptEditor.is_edited.
        """
        prompt = target.prompt
        self.editor.read_only = False
        self.editor.load_prompt(target.name, prompt.body, has_roles=prompt.mode == "chat")
        self.editor.show_problem("")
        own = target.name == variant.prompt  # a variant switches off examples of its own prompt alone
        self.examples.load(variant.prompt, prompt.examples if own else (), variant.examples_off, prompt.nearest)
        self.set_class(variant.retrieve is not None and not prompt.examples, "-no-examples")

    def show_unreadable(self, name: str, error: WorkbenchError) -> None:
        """A prompt that cannot be opened, and why."""
        self.editor.load_prompt(name, "")
        self.editor.read_only = True
        self.editor.border_title = plain_line(name)
        self.editor.show_problem(error.message)
        self.examples.load(name, (), ())

    def show_budget(self, budget: Budget | None, problem: str = "") -> None:
        """What the prompt takes of the context; None when that is not known, with the reason in the editor."""
        self.editor.show_problem(problem)
        self.meter.show(budget, problem)
        costs, dropped = (budget.per_example, budget.dropped) if budget else ({}, ())
        self.examples.show_costs(costs, dropped, budget.examples if budget else 0)

    def widen(self, step: int) -> None:
        """Move the line between this column and the panes, in percent of the screen."""
        now = self._percent or round(self.outer_size.width * 100 / max(self.screen.size.width, 1))
        self._percent = max(_LEAST_PERCENT, min(now + step, _MOST_PERCENT))
        self.styles.width = f"{self._percent}%"
