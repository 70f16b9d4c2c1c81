"""RunBrowser: the run that the matrix shows: its rows by filter and order, its metrics and its figures.

`open` and `count` read the store and may be slow; rows and figures arrive later as messages.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import get_args

import msgspec
from textual.message import Message

from workbench.analysis.summary import Summary
from workbench.errors import WorkbenchError
from workbench.runs.matrix_rows import Filter, MatrixRow, Metric, Show, Sort
from workbench.runs.view import RunView
from workbench.tui.bench_runs import BenchRuns
from workbench.tui.matrix_rows import make_matrix_line
from workbench.tui.paginated_source import PaginatedSource
from workbench.tui.widgets.matrix_chips import Chips
from workbench.tui.widgets.matrix_table import MatrixLine


class RunBrowser:
    """One run at a time; run: its id, "" before there is one."""

    class RowsLoaded(Message):
        """A page of rows is there."""

    class LoadFailed(Message):
        """Rows or figures could not be loaded."""

        def __init__(self, error: BaseException) -> None:
            super().__init__()
            self.error = error if isinstance(error, WorkbenchError) else WorkbenchError(str(error))

    class Summarized(Message):
        """The figures were computed."""

        def __init__(self, run: str, summary: Summary) -> None:
            super().__init__()
            self.run, self.summary = run, summary

    def __init__(self, runs: BenchRuns, run: str, post: Callable[[Message], object]) -> None:
        """post: gets the messages, on any thread."""
        self.run = run
        self.view: RunView | None = None
        self.names: tuple[str, ...] = ()
        self.filter, self.sort = Filter(), Sort()
        self.metrics: tuple[Metric, ...] = ()
        self.metric = ""
        self._is_metric_chosen = False
        self.counts: dict[Show, int] = {}
        self.summary: Summary | None = None
        self._runs, self._post = runs, post
        self._rows: PaginatedSource[MatrixRow] = PaginatedSource(
            self._fetch, lambda: post(self.RowsLoaded()), lambda error: post(self.LoadFailed(error))
        )
        self._summarizing: Future[Summary] | None = None
        self._summarized = -1

    def close(self) -> None:
        self._rows.close()

    def select(self, run: str) -> None:
        """Show another run; `show` follows once it is open."""
        self.run = run
        self.summary, self._summarized = None, -1
        self.counts = {}

    def show(self, view: RunView, names: tuple[str, ...], metrics: tuple[Metric, ...]) -> None:
        self.view, self.names, self.metrics = view, names, metrics
        if self.metric not in {metric.name for metric in metrics}:
            self.metric = next((metric.name for metric in metrics if metric.main), metrics[0].name if metrics else "")
        self.filter = msgspec.structs.replace(self.filter, metric=self.metric)

    @property
    def _metric_index(self) -> int:
        """Where the metric on show stands among those of the run."""
        return next((index for index, metric in enumerate(self.metrics) if metric.name == self.metric), 0)

    def next_metric(self) -> bool:
        """Show another metric, if there is one."""
        if len(self.metrics) < 2:
            return False
        self.metric = self.metrics[(self._metric_index + 1) % len(self.metrics)].name
        self._is_metric_chosen = True
        return True

    def show_leading_metric(self, summary: Summary) -> bool:
        """Show the metric that leads the figures, unless a person chose one; whether that is another than before. It
        is not the bench's first where that is a judge found to be unreliable."""
        leading = summary.metrics[0].name if summary.metrics else self.metric
        if self._is_metric_chosen or leading == self.metric or leading not in {one.name for one in self.metrics}:
            return False
        self.metric = leading
        return True

    # --- rows ----------------------------------------------------------------------------------------------------

    def row_at(self, index: int) -> MatrixRow | None:
        """The row at an index of the table, where it is loaded."""
        return self._rows.get(index)

    def line_at(self, index: int) -> MatrixLine | None:
        """The same as the table draws it."""
        row = self._rows.get(index)
        if row is None:
            return None
        metric = next((one for one in self.metrics if one.name == self.metric), None)
        binary, lower = (metric.binary, metric.lower_is_better) if metric else (False, False)
        return make_matrix_line(row, self.metric, binary, lower, self._runs.asked)

    def clear(self) -> None:
        """Forget the rows: they are of another run, filter or order."""
        self._rows.clear()

    def refresh(self) -> None:
        """Load the rows again, and show the old ones until then."""
        self._rows.refresh()

    def _fetch(self, offset: int, limit: int) -> list[MatrixRow]:
        return self.view.rows(self.filter, self.sort, offset, limit) if self.view else []

    def count_rows(self, filter: Filter) -> dict[Show, int]:
        """The rows that pass a filter, and how many would with each other choice of what it shows. Slow."""
        assert self.view is not None
        return {show: self.view.count(msgspec.structs.replace(filter, show=show)) for show in get_args(Show)}

    @property
    def description(self) -> str:
        """Search, expected answer and order in words; empty for the whole dataset in its order."""
        parts = [f"expected {self.filter.expected}"] if self.filter.expected is not None else []
        parts += [f"“{self.filter.text}”"] if self.filter.text else []
        parts += [f"by {self.sort.variant or self.sort.by}"] if self.sort != Sort() else []
        return ", ".join(parts)

    @property
    def chips(self) -> Chips:
        """What is shown, for the row of chips."""
        index, count = self._metric_index, len(self.metrics)
        return Chips(self.filter.show, self.counts, self.description, self.metric, index, count)

    # --- figures -------------------------------------------------------------------------------------------------

    def summarize(self, version: int) -> None:
        """Compute figures, one request at a time, unless this version of the cells has its own already."""
        if not self.run or self.view is None or (self._summarizing and not self._summarizing.done()):
            return
        if version == self._summarized:
            return
        self._summarized = version
        run = self.run
        self._summarizing = self._runs.figures.summarize(run)
        self._summarizing.add_done_callback(lambda done: self._post_summary(run, done))

    def _post_summary(self, run: str, done: Future[Summary]) -> None:
        if done.cancelled():
            return
        error = done.exception()
        self._post(self.Summarized(run, done.result()) if error is None else self.LoadFailed(error))

    def require_summary(self) -> Summary:
        """Raises WorkbenchError where there are no figures yet."""
        if self.summary is None:
            raise WorkbenchError("There are no figures yet.", "They appear with the first finished cells.")
        return self.summary
