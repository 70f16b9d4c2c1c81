"""MatrixScreen: a run as a matrix, cases down and variants across, with what it comes to at the bottom.

Shows pages of the run from the store while the run goes on; asks for figures, and never works one out. Flows that open
dialogs are in actions/matrix.py.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import ClassVar, NamedTuple

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer

from workbench.errors import WorkbenchError
from workbench.evaluation.damaged import DAMAGED
from workbench.evaluation.summary import Summary
from workbench.evaluation.view import Filter, Metric, Row, RunView, Show, Sort
from workbench.tui.actions import matrix as actions
from workbench.tui.actions.flow import say
from workbench.tui.evaluations import Evaluations
from workbench.tui.lines import make_line
from workbench.tui.pages import Pages
from workbench.tui.widgets.dialog import is_open
from workbench.tui.widgets.editing import Input
from workbench.tui.widgets.matrix_table import Line, MatrixTable
from workbench.tui.widgets.matrix_title import MatrixTitle, RunTitle
from workbench.tui.widgets.plain import Static
from workbench.tui.widgets.summary_strip import SummaryStrip

LOOKS_PER_SECOND = 4
_SHOWS: tuple[Show, ...] = ("all", "failures", "errors", "different")


class Shown(NamedTuple):
    """A cell that a person wants to see on the bench."""

    case: int
    variant: str


class MatrixScreen(Screen[Shown | None]):
    """One run. Dismissed with a cell to open on the bench, or with None."""

    HELP_TEXT: ClassVar[str] = """\
Every case of the dataset against every variant. Each finished cell is in the store at once: stop, quit or lose the
machine, and ctrl+r goes on where it was. Below the table stand the score of each variant with its 95% interval, and
whether its difference from the best is more than chance, on the same cases. Enter opens a cell.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back", id="evaluation.back"),
        Binding("ctrl+r,f5", "do('run')", "run", id="evaluation.run", priority=True),
        Binding("space", "do('pause')", "pause", id="evaluation.pause"),
        Binding("f", "turn_filter", "filter", id="evaluation.filter"),
        Binding("slash", "search", "search", id="evaluation.search"),
        Binding("s", "do('choose_order')", "sort", id="evaluation.sort"),
        Binding("i", "do('in_words')", "in words", id="evaluation.words"),
        Binding("p", "do('plot')", "plots", id="evaluation.plots"),
        Binding("w", "do('report')", "report", id="evaluation.report"),
        Binding("v", "do('vote')", "vote", id="evaluation.vote"),
        Binding("o", "do('open_run')", "runs", id="evaluation.runs"),
        Binding("x", "do('stop')", "stop", id="evaluation.stop"),
        Binding("u", "do('pause_model')", "pause this column's model", id="evaluation.pause_model", show=False),
        Binding("d", "do('compare_runs')", "compare with an earlier run", id="evaluation.compare", show=False),
        Binding("a", "do('raise_limit')", "run cut answers again", id="evaluation.raise_limit", show=False),
        Binding("m", "turn_metric", "next metric", id="evaluation.metric", show=False),
        Binding("c", "do('choose_class')", "only one expected answer", id="evaluation.class", show=False),
        Binding("t", "do('confusion')", "confusion matrix", id="evaluation.confusion", show=False),
        Binding("n", "do('annotate')", "note on the run", id="evaluation.note", show=False),
        Binding("b", "do('pin')", "make it the baseline", id="evaluation.pin", show=False),
    ]

    class PageCame(Message):
        """Rows were fetched."""

    class PageFailed(Message):
        """Rows could not be fetched, or figures not be worked out."""

        def __init__(self, error: BaseException) -> None:
            super().__init__()
            self.error = error

    class Summarized(Message):
        """The figures were worked out."""

        def __init__(self, run: str, summary: Summary) -> None:
            super().__init__()
            self.run, self.summary = run, summary

    def __init__(self, evaluations: Evaluations, run: str = "") -> None:
        """run: an earlier one to look at; "" shows the one that goes on, or waits for one to begin."""
        super().__init__(id="matrix")
        self.evaluations = evaluations
        self.run = run
        self.view: RunView | None = None
        self.names: tuple[str, ...] = ()
        self.filter, self.sort = Filter(), Sort()
        self.metrics: tuple[Metric, ...] = ()
        self.metric = ""
        self.summary: Summary | None = None
        self.title_bar, self.strip = MatrixTitle(), SummaryStrip(id="matrix-summary")
        self.table = MatrixTable(self._line, id="matrix-table")
        self._pages: Pages[Row] = self._make_pages()
        self._seen = -1
        self._problem = ""
        self._summarizing: Future[Summary] | None = None
        self._summarized = -1

    def compose(self) -> ComposeResult:
        yield self.title_bar
        yield Static(id="matrix-note")
        yield Input(placeholder="words in the message, the expected answer or an answer", id="matrix-search")
        yield self.table
        yield self.strip
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self.table.focus()
        self.set_interval(1 / LOOKS_PER_SECOND, self._look)
        if self.run:
            self.show_run(self.run)
        elif self.evaluations.current is None:
            actions.run(self)
        self._look()

    def on_unmount(self) -> None:
        self._pages.close()

    # --- what is shown -------------------------------------------------------------------------------------------

    def show_run(self, run: str) -> None:
        """Look at a run: the one that goes on, or an earlier one."""
        self.run = run
        self.summary, self._summarized, self._seen = None, -1, -1
        self._open_view(run)

    @work(thread=True, group="view", exclusive=True)
    def _open_view(self, run: str) -> None:
        try:
            view = RunView(self.evaluations.store, run)
            names, metrics = view.variants, view.metrics
        except WorkbenchError as error:
            self.app.call_from_thread(say, self, error)
            return
        self.app.call_from_thread(self._take_view, view, names, metrics)

    def _take_view(self, view: RunView, names: tuple[str, ...], metrics: tuple[Metric, ...]) -> None:
        if not is_open(self):  # left while the run was opened
            return
        self.view, self.names, self.metrics = view, names, metrics
        self.metric = next((metric.name for metric in metrics if metric.main), metrics[0].name if metrics else "")
        self.look_anew()

    def look_anew(self) -> None:
        """Another run, filter or order: fetch everything again."""
        self._pages.clear()
        self._count_rows()
        self._look()

    @work(thread=True, group="count", exclusive=True)
    def _count_rows(self) -> None:
        if self.view is None:
            return
        try:
            count = self.view.count(self.filter)
        except WorkbenchError as error:
            self.app.call_from_thread(say, self, error)
            return
        self.app.call_from_thread(self._take_count, count)

    def _take_count(self, count: int) -> None:
        if not is_open(self):
            return
        self.table.show(self.names, count)
        self._show_title()
        self._show_strip()

    def _make_pages(self) -> Pages[Row]:
        return Pages(
            self._fetch,
            lambda: self.post_message(self.PageCame()),
            lambda error: self.post_message(self.PageFailed(error)),
        )

    def _fetch(self, offset: int, limit: int) -> list[Row]:
        return self.view.rows(self.filter, self.sort, offset, limit) if self.view else []

    def _line(self, index: int) -> Line | None:
        row = self._pages.get(index)
        if row is None:
            return None
        return make_line(row, self.metric, self._is_binary, self._lower_is_better, self.evaluations.asked)

    def row_at(self, index: int) -> Row | None:
        """The row at an index of the table, where it is known."""
        return self._pages.get(index)

    @property
    def _is_binary(self) -> bool:
        return any(metric.name == self.metric and metric.binary for metric in self.metrics)

    @property
    def _lower_is_better(self) -> bool:
        return any(metric.name == self.metric and metric.lower_is_better for metric in self.metrics)

    @on(PageCame)
    def _page_came(self) -> None:
        self.table.refresh()

    @on(PageFailed)
    def _page_failed(self, event: PageFailed) -> None:
        say(self, event.error if isinstance(event.error, WorkbenchError) else WorkbenchError(str(event.error)))

    # --- a run that goes on --------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Take what is new since the last look."""
        if not is_open(self):
            return
        current = self.evaluations.current
        if current is not None and current.run and not self.run:
            self.show_run(current.run)
        if current is not None and current.run == self.run and current.version != self._seen:
            self._seen = current.version
            self._pages.refresh()
            self.table.refresh()
            if self.filter != Filter():
                self._count_rows()
        if current is not None and current.error is not None:
            say(self, current.error)
            current.error = None
        self._tell_problem(current.progress.problem if current and current.running and current.progress else "")
        self._show_title()
        self._summarize()

    def _tell_problem(self, problem: str) -> None:
        """Say what the run waits for, while it does, and what happened to the store."""
        if notice := self.evaluations.take_notice():
            self.tell(notice)
        if problem != self._problem:
            self._problem = problem
            self.tell(f"The run waits: {problem} It goes on by itself; x stops it." if problem else "")

    def _show_title(self) -> None:
        current = self.evaluations.current
        mine = current is not None and (current.run == self.run or not self.run)
        self.title_bar.show(
            RunTitle(
                bench=self.evaluations.bench_name,
                run=self.run,
                cases=current.plan.cases if mine and current else self.table.count,
                variants=len(self.names),
                rows=self.table.count,
                looking=self._looking,
                progress=current.progress if mine and current else None,
                running=mine and current is not None and current.running,
            )
        )

    @property
    def _looking(self) -> str:
        """The filter and the order in words; empty when everything is shown as it comes."""
        parts: list[str] = [self.filter.show] if self.filter.show != "all" else []
        parts += [f"expected {self.filter.expected}"] if self.filter.expected is not None else []
        parts += [f"“{self.filter.text}”"] if self.filter.text else []
        parts += [f"by {self.sort.variant or self.sort.by}"] if self.sort != Sort() else []
        return ", ".join(parts)

    def _summarize(self) -> None:
        """Ask for figures, one at a time, when cells came since the last ones."""
        if not self.run or self.view is None or (self._summarizing and not self._summarizing.done()):
            return
        version = max(self._seen, 0)
        if version == self._summarized:
            return
        self._summarized = version
        run = self.run
        self._summarizing = self.evaluations.figures.summarize(run)
        self._summarizing.add_done_callback(lambda done: self._take_figures(run, done))

    def _take_figures(self, run: str, done: Future[Summary]) -> None:
        """Called on a thread of the process pool's."""
        if done.cancelled():
            return
        error = done.exception()
        self.post_message(self.Summarized(run, done.result()) if error is None else self.PageFailed(error))

    @on(Summarized)
    def _summarized_run(self, event: Summarized) -> None:
        if event.run == self.run:
            self.summary = event.summary
            if damaged := [note for note in event.summary.notes if note.startswith(DAMAGED)]:
                self.tell("\n".join(damaged))
            self._show_strip()

    def _show_strip(self) -> None:
        self.strip.show(self.summary, self.metric, self.table.columns)

    @on(MatrixTable.Moved)
    def _moved(self) -> None:
        self._show_strip()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show_strip)

    # --- keys ----------------------------------------------------------------------------------------------------

    def action_do(self, name: str) -> None:
        """A flow, by its name."""
        getattr(actions, name)(self)

    def action_leave(self) -> None:
        """Out of the search first, then back; a run goes on."""
        search = self.query_one("#matrix-search", Input)
        if search.has_class("-open"):
            search.remove_class("-open")
            self.table.focus()
            if self.filter.text:
                self.change_filter(text="")
            search.value = ""
            return
        self.dismiss(None)

    def change_filter(self, **changes: object) -> None:
        self.filter = msgspec.structs.replace(self.filter, metric=self.metric, **changes)
        self.look_anew()

    def action_turn_filter(self) -> None:
        at = (_SHOWS.index(self.filter.show) + 1) % len(_SHOWS)
        self.change_filter(show=_SHOWS[at])

    def action_search(self) -> None:
        search = self.query_one("#matrix-search", Input)
        search.add_class("-open")
        search.focus()

    @on(Input.Changed, "#matrix-search")
    def _searched(self, event: Input.Changed) -> None:
        if event.value != self.filter.text:
            self.change_filter(text=event.value)

    @on(Input.Submitted, "#matrix-search")
    def _search_done(self) -> None:
        self.table.focus()

    def action_turn_metric(self) -> None:
        names = [metric.name for metric in self.metrics]
        if names:
            self.metric = names[(names.index(self.metric) + 1) % len(names)]
            self.table.refresh()
            self._show_strip()

    @on(MatrixTable.Opened)
    def _opened(self, event: MatrixTable.Opened) -> None:
        actions.open_cell(self, event.row, event.column)

    def show_on_bench(self, case: int, variant: str) -> None:
        """Leave, and let the bench show this cell."""
        self.dismiss(Shown(case, variant))

    def tell(self, text: str) -> None:
        """A line under the title that stays: leaks, problems of the plan."""
        note = self.query_one("#matrix-note", Static)
        note.update(text)
        note.set_class(bool(text), "-told")
