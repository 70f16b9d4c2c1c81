"""Rows: a run's cells as flat records, one a cell, for tables in files.

Knows nothing of file formats. Held one at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from workbench.evaluation.cell import Cell
from workbench.evaluation.datasets import Case
from workbench.evaluation.view import RunView

Value = str | int | float | bool | None

NUMBERS = (
    "prompt_tokens",
    "output_tokens",
    "seconds_to_first_token",
    "elapsed_seconds",
    "tokens_per_second",
)
_SAMPLED = 1_000  # cases whose variables name the columns


class Columns(NamedTuple):
    """variables: as `input.NAME`; metrics: as `score.NAME`."""

    variables: tuple[str, ...]
    metrics: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        inputs, scores = (f"input.{name}" for name in self.variables), (f"score.{name}" for name in self.metrics)
        head = ("run", "case", "variant", "repeat", "expected", "answer")
        return [*head, *scores, "error", "stop_reason", "cached", "reproducible", *NUMBERS, "cost", *inputs]


def find_columns(view: RunView) -> Columns:
    """The columns of a run; variables are those of its first cases."""
    names: dict[str, None] = {}
    for case in islice(view.cases(), _SAMPLED):
        names.update(dict.fromkeys(case.variables))
    return Columns(tuple(names), tuple(metric.name for metric in view.metrics))


def read_rows(view: RunView, columns: Columns) -> Iterator[list[Value]]:
    """The values of each cell, in the columns' order; a score that does not apply is None."""
    cases = view.cases()
    case = next(cases, None)
    for cell in view.cells():
        while case is not None and case.number < cell.case:
            case = next(cases, None)
        own = case if case is not None and case.number == cell.case else Case(cell.case, {})  # one that is damaged
        yield _lay_out(view.id, own, cell, columns)


def _lay_out(run: str, case: Case, cell: Cell, columns: Columns) -> list[Value]:
    done = cell.completion
    scores = {score.scorer: score.value for score in cell.scores if score.applies}
    return [
        run,
        cell.case,
        cell.variant,
        cell.repeat,
        case.expected,
        done.text,
        *(scores.get(name) for name in columns.metrics),
        cell.error or None,
        done.stop_reason,
        cell.cached,
        done.reproducible,
        *(getattr(done, name) for name in NUMBERS),
        cell.cost,
        *(case.variables.get(name) for name in columns.variables),
    ]
