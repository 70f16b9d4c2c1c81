"""MatrixTitle: which run is shown, how far it is and how long it takes, over a slim progress line."""

from __future__ import annotations

from typing import NamedTuple

from rich.cells import set_cell_size
from textual.content import Content

from workbench.runs.progress import RunProgress
from workbench.sanitize import sanitize
from workbench.tui.widgets.plain import Static
from workbench.units import format_duration, format_plural


class RunTitle(NamedTuple):
    """The title of the matrix."""

    bench: str
    run: str
    cases: int
    variants: int
    progress: RunProgress | None
    running: bool


class MatrixTitle(Static):
    """Two rows: facts, progress."""

    def __init__(self) -> None:
        super().__init__(id="matrix-title")
        self._title: RunTitle | None = None

    def show(self, title: RunTitle) -> None:
        if title != self._title:
            self._title = title
            self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        title, width = self._title, self.size.width
        if title is None or width < 20:
            return
        facts = f"{title.bench} · {format_plural(title.cases, 'case')} × {title.variants}"
        left = Content.assemble((" matrix  ", "bold $primary"), sanitize(facts))
        state = Content.assemble((_state(title), "$foreground 60%"))
        right = Content.assemble(state, " ")
        if left.cell_length + right.cell_length >= width:
            left = Content.assemble((" matrix  ", "bold $primary"))
        if left.cell_length + right.cell_length >= width:
            right = Content(set_cell_size(right.plain, max(width - left.cell_length - 1, 0)))
        gap = " " * max(width - left.cell_length - right.cell_length, 1)
        self.update(Content.assemble(left, gap, right, "\n", _line(title, width)), layout=False)


def _state(title: RunTitle) -> str:
    """How the run stands, in words."""
    progress = title.progress
    if progress is None:
        return "opening" if title.running else f"run {title.run}"
    share = progress.done / progress.total if progress.total else 1.0
    failed = f"  {progress.failed:,} failed" if progress.failed else ""
    cached = f"  {progress.cached:,} cached" if progress.cached else ""
    if not title.running:
        return f"run {title.run}  {share:.0%}{cached}{failed}" + ("" if share == 1 else "  stopped: ctrl+r resumes")
    if progress.state in ("paused", "waiting", "loading", "stopping"):
        what = f"{progress.state} {sanitize(progress.model)}" if progress.state == "loading" else progress.state
        return f"{share:.0%}  {what}{failed}"
    left = f"  {format_duration(progress.seconds_left)} left" if progress.seconds_left is not None else ""
    return f"{share:.0%}  {progress.rate:.0f} cells/s{left}{failed}"


def _line(title: RunTitle, width: int) -> Content:
    progress = title.progress
    if progress is None or not progress.total or not title.running:
        return Content.assemble(("─" * width, "$border-blurred"))
    filled = width * progress.done // progress.total
    return Content.assemble(("━" * filled, "$primary"), ("─" * (width - filled), "$primary 40%"))
