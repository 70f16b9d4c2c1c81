"""Tables on stdout. Everything in them is text, never markup, and sanitized."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from workbench.inference.types import show_counts
from workbench.runs.cell import Cell
from workbench.sanitize import sanitize
from workbench.units import format_duration

_PIPE_WIDTH = 200
_LONGEST = 400  # characters of an answer; --json has all of it


def print_cells(cells: Sequence[Cell]) -> None:
    """A row a cell, and the mean scores of each variant when there are several cases."""
    scorers = list(dict.fromkeys(score.scorer for cell in cells for score in cell.scores))
    table = make_table(
        ["case", "variant", "answer", *scorers, "tokens", "first", "tok/s", "stop"],
        right=["case", *scorers, "tokens", "first", "tok/s"],
    )
    for cell in cells:
        table.add_row(*(show(text) for text in _row(cell, scorers)))
    console().print(table)
    if len({cell.case for cell in cells}) > 1 and scorers:
        console().print(_summarize(cells, scorers))


def make_table(columns: Sequence[str], right: Sequence[str] = ()) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(
            show(column), justify="right" if column in right else "left", no_wrap=column in right, overflow="fold"
        )
    return table


def console() -> Console:
    """Stdout, as wide as the terminal, or wide enough where there is none."""
    made = Console(
        file=sys.stdout, highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH
    )
    made.push_render_hook(_SanitizeHook())
    return made


class _SanitizeHook(RenderHook):
    """Whatever is printed is sanitised on its way out, were it forgotten before."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_SanitizedRenderable(renderable) for renderable in renderables]


class _SanitizedRenderable:
    def __init__(self, renderable: ConsoleRenderable) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for text, style, control in console.render(self._renderable, options):
            yield Segment(text if control else sanitize(text), style, control)


def show(text: str) -> Text:
    """Foreign text as it may stand in a table."""
    return Text(sanitize(text).expandtabs(4))


def _row(cell: Cell, scorers: Sequence[str]) -> list[str]:
    done = cell.completion
    values = {score.scorer: f"{score.value:.2f}" for score in cell.scores if score.applies}
    answer = f"{cell.error} {cell.hint}".strip() if cell.error else done.text.strip()
    return [
        str(cell.case),
        cell.variant,
        answer if len(answer) <= _LONGEST else answer[:_LONGEST] + "…",
        *(values.get(name, "–") for name in scorers),
        show_counts(done) if done.output_tokens or done.server else "–",
        format_duration(done.seconds_to_first_token) if done.output_tokens or done.server else "–",
        f"{done.tokens_per_second:.0f}" if done.tokens_per_second else "–",
        done.stop_reason or "",
    ]


def _summarize(cells: Sequence[Cell], scorers: Sequence[str]) -> Table:
    table = make_table(["variant", *scorers, "cases", "failed"], right=[*scorers, "cases", "failed"])
    for name in dict.fromkeys(cell.variant for cell in cells):
        own = [cell for cell in cells if cell.variant == name]
        means = [_mean(own, scorer) for scorer in scorers]
        failed = sum(1 for cell in own if cell.error)
        table.add_row(show(name), *means, str(len(own)), str(failed))
    return table


def _mean(cells: Sequence[Cell], scorer: str) -> str:
    """The mean over the cells that could be judged; a failed cell counts as none."""
    values = [s.value for cell in cells for s in cell.scores if s.scorer == scorer and s.applies]
    return f"{sum(values) / len(values):.3f}" if values else "–"
