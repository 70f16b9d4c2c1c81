"""The matrix of a run as it is shown: which rows, in which order, and what a row, a cell and a metric are."""

from __future__ import annotations

from typing import Literal

import msgspec

Show = Literal["all", "failures", "errors", "different"]
"""failures: a cell failed or scored below its threshold (1 where it has none) on the metric; errors: a cell
failed; different: the variants' answers are not all the same."""

By = Literal["case", "score", "disagreement"]
CellState = Literal["waiting", "done", "failed"]


class Filter(msgspec.Struct, frozen=True):
    """Which rows. metric: the one that `failures` goes by; "" is the first. expected: only cases with this expected
    answer. text: only cases whose input, expected answer or an answer contains this, whatever the letters' case.
    """

    show: Show = "all"
    metric: str = ""
    expected: str | None = None
    text: str = ""


class Sort(msgspec.Struct, frozen=True):
    """In which order. score: by `variant` on `metric`, cells without a score last; disagreement: the spread of
    `metric` over the variants. metric "" is the first. Ties go by case."""

    by: By = "case"
    variant: str = ""
    metric: str = ""
    descending: bool = False


class Metric(msgspec.Struct, frozen=True):
    """One scorer of the run, as it judged. free: values are not 0 to 1. main: the first of the bench's list."""

    name: str
    lower_is_better: bool = False
    binary: bool = False
    free: bool = False
    main: bool = False


class CellPreview(msgspec.Struct, frozen=True):
    """A cell as a row shows it. text: the beginning of the answer on one line. scores: metric -> value, its mean
    where there are repeats; a score that does not apply is left out. done: repeats that are finished.
    """

    variant: str
    state: CellState = "waiting"
    text: str = ""
    scores: dict[str, float] = {}
    error: str = ""
    cached: bool = False
    done: int = 0


class MatrixRow(msgspec.Struct, frozen=True):
    """One case. variables: the beginning of each. cells: one for each variant, in the person's order."""

    number: int
    variables: dict[str, str]
    expected: str | None
    cells: tuple[CellPreview, ...]


class ScoreValue(msgspec.Struct, frozen=True):
    """One value of one metric, where it applies."""

    variant: str
    case: int
    repeat: int
    value: float


class CellFigures(msgspec.Struct, frozen=True):
    """The numbers of one cell without its texts. seconds and the rates of a cached cell are those of the day it was
    made: they belong in no latency. failed cells have all counts at what they had until then."""

    variant: str
    case: int
    repeat: int
    failed: bool
    cached: bool
    prompt_tokens: int
    output_tokens: int
    seconds_to_first_token: float
    tokens_per_second: float
    elapsed_seconds: float
    cost: float


ALL = Filter()
BY_CASE = Sort()
