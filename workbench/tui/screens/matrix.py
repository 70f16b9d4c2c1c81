"""MatrixScreen: a run as a matrix, cases down and variants across, with its figures at the bottom.

Follows a run under way. Actions that open dialogs are in actions/matrix.py and actions/cell.py.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from workbench.errors import WorkbenchError
from workbench.runs.damage_report import DAMAGED
from workbench.runs.matrix_rows import Filter, Metric, Show
from workbench.runs.view import RunView
from workbench.tui.actions import cell as cell_actions
from workbench.tui.actions import matrix as actions
from workbench.tui.bench_runs import BenchRuns
from workbench.tui.keys import KeyedScreen
from workbench.tui.run_browser import RunBrowser
from workbench.tui.screen_ui import ScreenUi
from workbench.tui.ui import CellLocation
from workbench.tui.widgets.dialog import is_open
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.matrix_chips import SHOWS, MatrixChips
from workbench.tui.widgets.matrix_table import MatrixTable
from workbench.tui.widgets.matrix_title import MatrixTitle, RunTitle
from workbench.tui.widgets.plain import Static
from workbench.tui.widgets.summary_strip import SummaryStrip

POLLS_PER_SECOND = 4
_POLLS_PER_COUNT = 4
"""while a run goes on: four counts of a large run are too much for every poll"""


class MatrixScreen(KeyedScreen[CellLocation | None]):
    """One run. Dismissed with a cell to open on the bench, or with None."""

    HELP_TEXT: ClassVar[str] = """\
Every case of the dataset against every variant. Each finished cell is saved at once: if the run is stopped, or the
machine crashes, ctrl+r resumes it. Below the table are the score of each variant with its 95% interval, and whether its
difference from the best is significant, on the same cases; p is corrected where several pairs are compared. Enter opens
a cell; f steps through the filters, m through the metrics; esc takes back the last filter, then leaves.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back", id="evaluation.back"),
        Binding(
            "ctrl+r,f5",
            "do('run')",
            "run",
            id="evaluation.run",
            tooltip="Start a run, or resume a stopped one",
            priority=True,
        ),
        Binding("space", "do('pause')", "pause", id="evaluation.pause", tooltip="Pause the run, or resume it"),
        Binding(
            "f",
            "next_filter",
            "filter",
            id="evaluation.filter",
            tooltip="Next filter: all, failures, differences, errors",
        ),
        Binding("slash", "search", "search", id="evaluation.search", tooltip="Search in the cases"),
        Binding("s", "do('choose_order')", "sort", id="evaluation.sort", tooltip="Sort the cases"),
        Binding("i", "do('in_words')", "explain", id="evaluation.words", tooltip="Explain the results in words"),
        Binding("p", "do('plot')", "plot", id="evaluation.plots", tooltip="Plot the scores"),
        Binding("w", "do('report')", "export", id="evaluation.report", tooltip="Export the results as a report"),
        Binding("v", "do('vote')", "vote", id="evaluation.vote", tooltip="Vote blindly between two answers"),
        Binding("o", "do('open_run')", "open", id="evaluation.runs", tooltip="Open an earlier run"),
        Binding("x", "do('stop')", "stop", id="evaluation.stop", tooltip="Stop the run; finished cells are kept"),
        Binding("u", "do('pause_model')", "pause this column's model", id="evaluation.pause_model", show=False),
        Binding("d", "do('compare_runs')", "compare with an earlier run", id="evaluation.compare", show=False),
        Binding("a", "do('raise_limit')", "re-run cut answers", id="evaluation.raise_limit", show=False),
        Binding("m", "next_metric", "metric", id="evaluation.metric", tooltip="Next metric"),
        Binding("c", "do('choose_class')", "filter by expected answer", id="evaluation.class", show=False),
        Binding("t", "do('confusion')", "confusion matrix", id="evaluation.confusion", show=False),
        Binding("n", "do('annotate')", "note on the run", id="evaluation.note", show=False),
        Binding("b", "do('pin')", "set as baseline", id="evaluation.pin", show=False),
    ]

    def __init__(self, runs: BenchRuns, run: str = "") -> None:
        """run: an earlier one to show; "" shows the current one, or waits for one to start."""
        super().__init__(id="matrix")
        self.runs = runs
        self.browser = RunBrowser(runs, run, self.post_message)
        self.ui = ScreenUi(self)
        self.title_bar, self.chips, self.strip = MatrixTitle(), MatrixChips(), SummaryStrip(id="matrix-summary")
        self.table = MatrixTable(self.browser.line_at, id="matrix-table")
        self._seen, self._counted, self._polls = -1, -1, 0
        self._problem = ""

    def compose(self) -> ComposeResult:
        yield self.title_bar
        yield self.chips
        yield Static(id="matrix-note")
        yield Input(placeholder="search in inputs, expected answers and answers", id="matrix-search")
        yield self.table
        yield self.strip
        yield KeyFooter()

    def on_mount(self) -> None:
        self.table.focus()
        self.set_interval(1 / POLLS_PER_SECOND, self._poll)
        if self.browser.run:
            self.show_run(self.browser.run)
        elif self.runs.current is None:
            self.ui.start(actions.run(self, self.ui))
        self._poll()

    def on_unmount(self) -> None:
        self.browser.close()

    # --- what is shown -------------------------------------------------------------------------------------------

    def show_run(self, run: str) -> None:
        """Show a run: the current one, or an earlier one."""
        self.browser.select(run)
        self._seen = -1
        self._open_view(run)

    @work(thread=True, group="view", exclusive=True)
    def _open_view(self, run: str) -> None:
        try:
            view = RunView(self.runs.store, run)
            names, metrics = view.variants, view.metrics
        except WorkbenchError as error:
            self.app.call_from_thread(self.ui.show_error, error)
            return
        self.app.call_from_thread(self._show_view, view, names, metrics)

    def _show_view(self, view: RunView, names: tuple[str, ...], metrics: tuple[Metric, ...]) -> None:
        if is_open(self):  # it may have been left while the run was opened
            self.browser.show(view, names, metrics)
            self.refetch()

    def refetch(self) -> None:
        """Another run, filter or order: load everything again."""
        self.browser.clear()
        self._count_rows()
        self._poll()

    @work(thread=True, group="count", exclusive=True)
    def _count_rows(self) -> None:
        filter = self.browser.filter
        if self.browser.view is None:
            return
        try:
            counts = self.browser.count_rows(filter)
        except WorkbenchError as error:
            self.app.call_from_thread(self.ui.show_error, error)
            return
        self.app.call_from_thread(self._show_counts, filter, counts)

    def _show_counts(self, filter: Filter, counts: dict[Show, int]) -> None:
        if is_open(self) and filter == self.browser.filter:
            self.browser.counts = counts
            self.table.show(self.browser.names, counts[filter.show])
            self._show_title()
            self._show_strip()

    @on(RunBrowser.RowsLoaded)
    def _rows_loaded(self) -> None:
        self.table.refresh()

    @on(RunBrowser.LoadFailed)
    def _load_failed(self, event: RunBrowser.LoadFailed) -> None:
        self.ui.show_error(event.error)

    # --- the current run -----------------------------------------------------------------------------------------

    def _poll(self) -> None:
        """Show what is new since the last time."""
        if not is_open(self):
            return
        current, browser = self.runs.current, self.browser
        if current is not None and current.run and not browser.run:
            self.show_run(current.run)
        if current is not None and current.run == browser.run and current.version != self._seen:
            self._seen = current.version
            browser.refresh()
            self.table.refresh()
        self._polls += 1
        if self._counted != self._seen and (self._polls % _POLLS_PER_COUNT == 0 or not self.runs.running):
            self._counted = self._seen
            self._count_rows()
        if current is not None and current.error is not None:
            self.ui.show_error(current.error)
            current.error = None
        self._show_problem(current.progress.problem if current and current.running and current.progress else "")
        self._show_title()
        browser.summarize(max(self._seen, 0))

    def _show_problem(self, problem: str) -> None:
        """What the run waits for, while it does, and what happened to the store."""
        if notice := self.runs.take_notice():
            self.show_note(notice)
        if problem != self._problem:
            self._problem = problem
            self.show_note(f"Waiting: {problem} The run resumes by itself; x stops it." if problem else "")

    def _show_title(self) -> None:
        current, run = self.runs.current, self.browser.run
        mine = current if current is not None and (current.run == run or not run) else None
        self.title_bar.show(
            RunTitle(
                bench=self.runs.session.path.name,
                run=run,
                cases=mine.plan.cases if mine else self.table.count,
                variants=len(self.browser.names),
                progress=mine.progress if mine else None,
                running=mine is not None and mine.running,
            )
        )
        self.chips.show(self.browser.chips)

    @on(RunBrowser.Summarized)
    def _summarized(self, event: RunBrowser.Summarized) -> None:
        if event.run == self.browser.run:
            self.browser.summary = event.summary
            if damaged := [note for note in event.summary.notes if note.startswith(DAMAGED)]:
                self.show_note("\n".join(damaged))
            if self.browser.show_leading_metric(event.summary):
                self.change_filter()
            self._show_strip()

    def _show_strip(self) -> None:
        self.strip.show(self.browser.summary, self.browser.metric, self.table.column)

    @on(MatrixTable.Moved)
    def _moved(self) -> None:
        self._show_strip()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show_strip)

    def show_note(self, text: str) -> None:
        """A line under the title that stays: contamination, problems of the plan."""
        note = self.query_one("#matrix-note", Static)
        note.update(text)
        note.set_class(bool(text), "-shown")

    # --- keys ----------------------------------------------------------------------------------------------------

    def action_do(self, name: str) -> None:
        """An action, by its name."""
        self.ui.start(getattr(actions, name)(self, self.ui))

    def action_leave(self) -> None:
        """Take back one thing: the search, the expected answer, the filter; then go back. A run continues."""
        search, filter = self.query_one("#matrix-search", Input), self.browser.filter
        if search.has_class("-open") or filter.text:
            search.remove_class("-open")
            self.table.focus()
            self.change_filter(text="")
            search.value = ""
        elif filter.expected is not None:
            self.change_filter(expected=None)
        elif filter.show != "all":
            self.change_filter(show="all")
        else:
            self.dismiss(None)

    def change_filter(self, **changes: object) -> None:
        browser = self.browser
        browser.filter = msgspec.structs.replace(browser.filter, metric=browser.metric, **changes)
        self.refetch()

    def action_next_filter(self) -> None:
        at = (SHOWS.index(self.browser.filter.show) + 1) % len(SHOWS)
        self.change_filter(show=SHOWS[at])

    @on(MatrixChips.Clicked)
    def _chip_clicked(self, event: MatrixChips.Clicked) -> None:
        if event.show is None:
            self.action_next_metric()
        else:
            self.change_filter(show=event.show)

    def action_search(self) -> None:
        search = self.query_one("#matrix-search", Input)
        search.add_class("-open")
        search.focus()

    @on(Input.Changed, "#matrix-search")
    def _searched(self, event: Input.Changed) -> None:
        if event.value != self.browser.filter.text:
            self.change_filter(text=event.value)

    @on(Input.Submitted, "#matrix-search")
    def _search_done(self) -> None:
        self.table.focus()

    def action_next_metric(self) -> None:
        """Step to the next scorer's values; what counts as a failure goes by it too."""
        if self.browser.next_metric():
            self.change_filter()
            self._show_strip()
        else:
            self.ui.toast("This run has one metric; ctrl+\\, Scorers… on the bench adds others.")

    @on(MatrixTable.CellOpened)
    def _opened(self, event: MatrixTable.CellOpened) -> None:
        self.ui.start(cell_actions.open_cell(self, self.ui, event.row, event.column))
