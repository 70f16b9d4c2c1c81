"""EditColumn: what one edits, one below the other: the prompt, its examples, the case, and what it all costs.

Shows what it is given and holds what is typed; what becomes of that, the screen's session decides.
"""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical

from workbench.errors import WorkbenchError
from workbench.evaluation.bench import Variant
from workbench.prompting.budget import Budget
from workbench.prompting.prompt import Prompt
from workbench.tui.widgets.case_view import CaseView
from workbench.tui.widgets.context_meter import ContextMeter
from workbench.tui.widgets.example_list import ExampleList
from workbench.tui.widgets.plain import plain_line
from workbench.tui.widgets.prompt_editor import PromptEditor

_LEAST_PERCENT, _MOST_PERCENT = 20, 75


class EditColumn(Vertical):
    """The left side of the bench screen."""

    def __init__(self) -> None:
        super().__init__(id="edit")
        self.editor, self.examples, self.case, self.meter = PromptEditor(), ExampleList(), CaseView(), ContextMeter()
        self._percent = 0

    def compose(self) -> ComposeResult:
        yield self.editor
        yield self.examples
        yield self.case
        yield self.meter

    def show_prompt(self, prompt: Prompt, variant: Variant) -> None:
        """The prompt of a variant, ready to be edited; the cursor stays when the text is already there.

        What was typed before has to be taken first, see PromptEditor.is_edited.
        """
        self.editor.read_only = False
        self.editor.load_prompt(variant.prompt, prompt.body)
        self.editor.show_problem("")
        self.examples.load(variant.prompt, prompt.examples, variant.examples_off)

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
        self.examples.show_costs(budget.per_example if budget else {}, budget.dropped if budget else ())

    def widen(self, step: int) -> None:
        """Move the line between this column and the panes, in percent of the screen."""
        now = self._percent or round(self.outer_size.width * 100 / max(self.screen.size.width, 1))
        self._percent = max(_LEAST_PERCENT, min(now + step, _MOST_PERCENT))
        self.styles.width = f"{self._percent}%"
