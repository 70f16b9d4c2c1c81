"""RunView: a run in the store as a matrix: cases down, variants across, a page at a time.

Knows nothing of how a run is carried out, nor of screens. A view may be used while its run goes on, from any
thread, also in another process than the one that runs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from workbench.evaluation.bench import Bench
from workbench.evaluation.cell import Cell
from workbench.evaluation.dataset import Case
from workbench.store.runs import Run
from workbench.store.store import Store

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


class Preview(msgspec.Struct, frozen=True):
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


class Row(msgspec.Struct, frozen=True):
    """One case. variables: the beginning of each. cells: one for each variant, in the person's order."""

    number: int
    variables: dict[str, str]
    expected: str | None
    cells: tuple[Preview, ...]


class Judgement(msgspec.Struct, frozen=True):
    """One value of one metric, where it applies."""

    variant: str
    case: int
    repeat: int
    value: float


class Reading(msgspec.Struct, frozen=True):
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


class RunView:
    """See the module. Every method may raise StoreError."""

    def __init__(self, store: Store, run: str) -> None:
        """run: an id, the beginning of one, `last`, `last~1`, `baseline`. Raises StoreError for none or several."""
        raise NotImplementedError

    @property
    def run(self) -> Run:
        """The run's record as it is now."""
        raise NotImplementedError

    @property
    def bench(self) -> Bench:
        """The bench as it was run."""
        raise NotImplementedError

    @property
    def variants(self) -> tuple[str, ...]:
        """Names, in the person's order."""
        raise NotImplementedError

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The bench's scorers, in its order."""
        raise NotImplementedError

    @property
    def answers(self) -> tuple[str, ...]:
        """The different expected answers, the most frequent first, at most a hundred: the classes to filter by."""
        raise NotImplementedError

    def count(self, filter: Filter = Filter()) -> int:
        """The number of rows."""
        raise NotImplementedError

    def rows(self, filter: Filter = Filter(), sort: Sort = Sort(), offset: int = 0, limit: int = 50) -> list[Row]:
        """A page."""
        raise NotImplementedError

    def case(self, number: int) -> Case:
        """The case as it was run. Raises StoreError when the run has none of this number."""
        raise NotImplementedError

    def cell(self, variant: str, case: int, repeat: int = 0) -> Cell | None:
        """The whole cell; None while it is not finished."""
        raise NotImplementedError

    def cells(self) -> Iterator[Cell]:
        """Every finished cell, by case, then in the person's order of variants; held a few hundred at a time."""
        raise NotImplementedError

    def judgements(self, metric: str) -> Iterator[Judgement]:
        """Every value of a metric that applies, by case."""
        raise NotImplementedError

    def readings(self) -> Iterator[Reading]:
        """Every finished cell's numbers, by case."""
        raise NotImplementedError
