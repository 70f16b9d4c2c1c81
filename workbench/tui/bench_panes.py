"""BenchPanes: the panes of the bench screen in step with the session's variants; one of them is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workbench.errors import BenchError
from workbench.inference.pool import Pool
from workbench.runs.bench import Variant
from workbench.runs.passage_finder import PassageFinder
from workbench.runs.session import Session
from workbench.runs.step_edits import EditTarget
from workbench.tui.runner import Runner
from workbench.tui.widgets.edit_column import EditColumn
from workbench.tui.widgets.output_pane import OutputPane
from workbench.tui.widgets.pane_row import PaneRow


class BenchPanes:
    """The row of panes, the column in which the chosen one is edited, and what runs the panes."""

    def __init__(
        self,
        session: Session,
        pool: Pool,
        replaced: Callable[[OutputPane], object],
        admitted: Callable[[OutputPane], object],
        finder: PassageFinder,
    ) -> None:
        """replaced, admitted, finder: as Runner's."""
        self.session = session
        self.edit, self.row = EditColumn(), PaneRow()
        self.runner = Runner(pool, lambda pane: session.spec(self.find(pane)), replaced, admitted, finder)
        self._chosen: OutputPane | None = None
        self._steps: dict[OutputPane, str] = {}

    @property
    def panes(self) -> list[OutputPane]:
        return self.row.panes

    @property
    def chosen(self) -> int:
        """The index of the pane whose prompt is edited."""
        return self.panes.index(self.chosen_pane)

    @property
    def chosen_pane(self) -> OutputPane:
        if self._chosen not in self.panes:
            self._chosen = self.panes[0]
        return self._chosen

    def find_target(self) -> EditTarget:
        """The text that the editor shows: the chosen step of the chosen pane's chain, else its prompt's own.

        Raises WorkbenchError where the prompt cannot be opened.
        """
        targets = self.session.edit_targets(self.chosen)
        wanted = self._steps.get(self.chosen_pane)
        return next((one for one in targets if one.step == wanted), targets[-1])

    def step_target(self) -> EditTarget:
        """Let the editor show the next step of the chosen pane's chain. Raises WorkbenchError."""
        targets, now = self.session.edit_targets(self.chosen), self.find_target()
        self._steps[self.chosen_pane] = targets[(targets.index(now) + 1) % len(targets)].step
        return self.find_target()

    @property
    def variant(self) -> Variant:
        """The chosen pane's."""
        return self.session.variants[self.chosen]

    def find(self, pane: OutputPane) -> int:
        """The index of a pane. Raises BenchError when it was closed meanwhile."""
        if pane not in self.panes:
            raise BenchError("This pane was closed meanwhile.", "Choose another pane.")
        return self.panes.index(pane)

    def focus_pane(self, pane: OutputPane) -> None:
        if pane in self.panes:
            pane.focus()

    @property
    def is_on_pane(self) -> bool:
        """Whether the cursor is on a pane, not in the edit column."""
        return any(pane.has_focus for pane in self.panes)

    def lay_out_panes(self, panes: Sequence[OutputPane], chosen: OutputPane) -> None:
        """Make the row of panes match the session's variants, in the same step in which those were changed."""
        gone = self.row.lay_out(panes)
        self._chosen = chosen
        if any(pane.has_focus for pane in gone):
            chosen.focus()  # before the widget is removed, so that the focus does not wander to a neighbour
        for pane in gone:
            self.runner.forget(pane)
            self._steps.pop(pane, None)
            pane.remove()

    def toggle_zoom(self) -> bool:
        """Give the whole screen to the chosen pane, or show everything again; whether it is zoomed now."""
        zoomed = not self.row.has_class("-zoomed")
        self.row.set_class(zoomed, "-zoomed")
        self.edit.set_class(zoomed, "-zoomed")
        if zoomed:
            self.chosen_pane.focus()
        return zoomed
