"""A run's cells as flat records, one a cell, for tables in files; one is held at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from workbench.datasets import Case
from workbench.inference.types import Completion
from workbench.runs.cell import Cell
from workbench.runs.view import RunView

Value = str | int | float | bool | None

NUMBERS = (
    "prompt_tokens",
    "output_tokens",
    "thinking_tokens",
    "seconds_to_first_token",
    "seconds_to_first_answer_token",
    "elapsed_seconds",
    "tokens_per_second",
)
_SAMPLED = 1_000  # cases whose variables name the columns


class CellColumns(NamedTuple):
    """variables: as `input.NAME`; metrics: as `score.NAME`."""

    variables: tuple[str, ...]
    metrics: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        inputs, scores = (f"input.{name}" for name in self.variables), (f"score.{name}" for name in self.metrics)
        head = ("run", "case", "variant", "repeat", "expected", "answer")
        return [*head, *scores, "error", "stop_reason", "cached", "deterministic", *NUMBERS, "cost", *inputs]


def find_columns(view: RunView) -> CellColumns:
    """The columns of a run; variables are those of its first cases."""
    names: dict[str, None] = {}
    for case in islice(view.cases(), _SAMPLED):
        names.update(dict.fromkeys(case.variables))
    return CellColumns(tuple(names), tuple(metric.name for metric in view.metrics))


def read_rows(view: RunView, columns: CellColumns) -> Iterator[list[Value]]:
    """The values of each cell, in the columns' order; a score that does not apply is None."""
    cases = view.cases()
    case = next(cases, None)
    for cell in view.cells():
        while case is not None and case.number < cell.case:
            case = next(cases, None)
        own = case if case is not None and case.number == cell.case else Case(cell.case, {})  # one that is damaged
        yield _to_row(view.id, own, cell, columns)


def _to_row(run: str, case: Case, cell: Cell, columns: CellColumns) -> list[Value]:
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
        done.deterministic,
        *(_number(done, name) for name in NUMBERS),
        cell.cost,
        *(case.variables.get(name) for name in columns.variables),
    ]


def _number(done: Completion, name: str) -> Value:
    """A figure of an answer; None for a count that its server did not tell."""
    untold = done.server is not None and not done.server.counted
    value: Value = getattr(done, name)
    return None if untold and name.endswith("tokens") else value
