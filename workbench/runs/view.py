"""RunView: a run in the store as a matrix: cases down, variants across, a page at a time.

A view may be used while its run goes on, from any thread, also in another process than the one that runs it.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import msgspec

from workbench.datasets import Case
from workbench.errors import BenchError, StoreError
from workbench.inference.remote.card import CapabilityCard
from workbench.process_identity import is_alive
from workbench.runs.bench import Bench, Variant, parse_stored_bench
from workbench.runs.cell import Cell
from workbench.runs.damage_report import describe_damage
from workbench.runs.matrix_rows import (
    ALL,
    BY_CASE,
    CellFigures,
    CellPreview,
    CellState,
    Filter,
    MatrixRow,
    Metric,
    ScoreValue,
    Sort,
)
from workbench.runs.provenance import Provenance
from workbench.runs.serialisation import (
    is_config_readable,
    preview_case,
    read_card,
    read_case,
    read_cell,
    read_config,
)
from workbench.store import cells as kept
from workbench.store import matrix
from workbench.store.cell_figures import read_notes
from workbench.store.damage import Damage, DamagedRow
from workbench.store.provenance import get_provenances, list_traced
from workbench.store.runs import Run, find_run, get_metrics, get_run, get_variants
from workbench.store.store import Store
from workbench.units import format_plural

_PREVIEW = 160
"""characters of a text that a row shows"""

_MOST_ANSWERS = 100
_ORDERS_KEPT = 8
_PATIENCE = 10
"""a row order that took long is worked out anew only after this many times as long, while its run goes on"""

ActualState = Literal["running", "stopped", "finished", "interrupted"]
"""stopped and interrupted runs can be gone on with; of an interrupted one the process is gone."""


class _Order(NamedTuple):
    """The rows of one query. version: of the run when they were worked out; cost: the seconds that took."""

    numbers: array[int]
    version: int
    made: float
    cost: float


class RunView:
    """See the module. Every method may raise StoreError."""

    def __init__(self, store: Store, run: str) -> None:
        """run: an id, the beginning of one, `last`, `last~1`, `baseline`. Raises StoreError for none or several."""
        found = find_run(store, run)
        self.store = store
        self.id = found.id
        self._key = found.key
        self._text = found.text
        self._bench: Bench | None = None
        self.bench_problem = ""
        """why the bench's text cannot be read; known after `bench` was"""
        self._variants = get_variants(store, found.key)
        self._metrics = get_metrics(store, found.key)
        self._orders: dict[matrix.Query, _Order] = {}
        self._lock = threading.Lock()

    @property
    def run(self) -> Run:
        """The run's record as it is now."""
        return get_run(self.store, self._key)

    @property
    def state(self) -> ActualState:
        """The run's state as it is now; `interrupted` where its process is gone."""
        return actual_state(self.run)

    @property
    def bench(self) -> Bench:
        """The bench as it was run; where its text cannot be read any more, as much of it as the store knows apart."""
        if self._bench is None:
            try:
                self._bench = self._match(parse_stored_bench(self._text, f"the bench of run {self.id}"))
            except BenchError as error:
                self.bench_problem = error.message
                self._bench = Bench(tuple(Variant(name, "", "") for name in self._variants), scorers=())
        return self._bench

    def _match(self, bench: Bench) -> Bench:
        """The bench with the variants that the store has cells of, in their order: in a damaged store the two may
        differ."""
        own = {variant.name: variant for variant in bench.variants}
        if tuple(own) == self._variants:
            return bench
        self.bench_problem = f"The variants in the bench of run {self.id} are not those that the store has."
        variants = tuple(own.get(name) or Variant(name, "", "") for name in self._variants)
        return msgspec.structs.replace(bench, variants=variants)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the run's scores has to know, such as examples that stand in the test cases."""
        return read_config(self.run).warnings

    @property
    def cards(self) -> dict[str, CapabilityCard]:
        """What the servers of the run were seen to do, by the names of their models."""
        found = {name: read_card(text) for name, text in read_config(self.run).cards.items()}
        return {name: card for name, card in found.items() if card}

    @property
    def left_out(self) -> tuple[str, ...]:
        """What of the dataset no cell sees, in words: rows that could not be read, columns that are not used."""
        return read_config(self.run).left_out

    @property
    def variants(self) -> tuple[str, ...]:
        """Names, in the person's order."""
        return self._variants

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The bench's scorers, in its order."""
        return tuple(
            Metric(one.name, one.lower_is_better, one.binary, one.free, index == 0)
            for index, one in enumerate(self._metrics)
        )

    @property
    def pass_limit(self) -> float | None:
        """The value of the first metric from which a cell counts as right; None where none does."""
        return self._metrics[0].threshold if self._metrics else None

    def limit(self, metric: str) -> float | None:
        """The value of a metric from which an answer counts as right; None where none does."""
        return next((one.threshold for one in self._metrics if one.name == metric), None)

    def metric(self, name: str = "") -> Metric:
        """The metric of that name; without one, the first. Raises StoreError."""
        for metric in self.metrics:
            if name in ("", metric.name):
                return metric
        known = ", ".join(self._names) or "none"
        raise StoreError(f"Run {self.id} has no metric {name!r}.", f"It has: {known}.")

    @property
    def answers(self) -> tuple[str, ...]:
        """The different expected answers, the most frequent first, at most a hundred: the classes to filter by."""
        return tuple(matrix.list_expected(self.store, self._key, _MOST_ANSWERS))

    def count(self, filter: Filter = ALL) -> int:
        """The number of rows."""
        return len(self._order(self._query(filter, BY_CASE)))

    def rows(self, filter: Filter = ALL, sort: Sort = BY_CASE, offset: int = 0, limit: int = 50) -> list[MatrixRow]:
        """A page."""
        return self._page(self._order(self._query(filter, sort))[offset : offset + limit])

    def index(self, number: int, filter: Filter = ALL, sort: Sort = BY_CASE) -> int | None:
        """The position of a case among the rows; None where the filter leaves it out."""
        try:
            return self._order(self._query(filter, sort)).index(number)
        except ValueError:
            return None

    def case(self, number: int) -> Case:
        """The case as it was run. Raises StoreError when the run has none of this number."""
        found = kept.get_input(self.store, self._key, number)
        if found is None:
            raise StoreError(f"Run {self.id} has no case {number}.", f"It has {format_plural(self.run.cases, 'case')}.")
        case = read_case(found)
        if case is None:
            raise StoreError(f"Case {number} of run {self.id} is damaged in the store.", "Look at another one.")
        return case

    def cases(self) -> Iterator[Case]:
        """Every case that can be read, by number; held a few hundred at a time."""
        cases = (read_case(found) for found in kept.read_inputs(self.store, self._key))
        return (case for case in cases if case is not None)

    def damage(self) -> tuple[str, ...]:
        """What of the run is damaged in the store and left out here, or shown with signs in its place: named and
        counted, in words. Reads every text of the run."""
        return describe_damage(self.store, self._key, self._variants, self._names, tuple(self._find_lost()))

    def _find_lost(self) -> Iterator[Damage]:
        if not is_config_readable(self.run):
            yield Damage("options", 1, ())
        known = list_traced(self.store, self._key)
        bodies = get_provenances(self.store, self._key)
        lost = [index for index in known if not (bodies[index] and Provenance.is_readable(bodies[index]))]
        yield Damage("origins", len(lost), tuple(DamagedRow(None, index) for index in lost))

    def cell(self, variant: str, case: int, repeat: int = 0) -> Cell | None:
        """The whole cell; None while it is not finished."""
        index = self._index(variant)
        found = kept.get_cell(self.store, self._key, case, index, repeat)
        if found is None:
            return None
        return read_cell(found, self._variants, self._names, get_provenances(self.store, self._key)[index])

    def cells(self) -> Iterator[Cell]:
        """Every finished cell, by case, then in the person's order of variants; held a few hundred at a time.

        Without provenance, which is the same for all cells of a variant: see `provenance`.
        """
        for found in kept.read_cells(self.store, self._key):
            yield read_cell(found, self._variants, self._names)

    def provenance(self, variant: str) -> str:
        """JSON of a Provenance: what a variant's answers come from; "" where it is not known."""
        return get_provenances(self.store, self._key)[self._index(variant)]

    def origin(self, variant: str) -> Provenance:
        """The same decoded. Raises StoreError where it is not known."""
        text = self.provenance(variant)
        if not text:
            raise StoreError(f"What {variant} came from was not found when run {self.id} began.", "Start a new run.")
        return Provenance.decode(text)

    def judgements(self, metric: str) -> Iterator[ScoreValue]:
        """Every value of a metric that applies, by case."""
        rows = matrix.read_values(self.store, self._key, self._metric(metric))
        return (ScoreValue(self._variants[variant], number, repeat, value) for number, variant, repeat, value in rows)

    def readings(self) -> Iterator[CellFigures]:
        """Every finished cell's numbers, by case."""
        for number, variant, repeat, failed, cached, *numbers in matrix.read_numbers(self.store, self._key):
            yield CellFigures(self._variants[variant], number, repeat, bool(failed), bool(cached), *numbers)

    def notes(self) -> Iterator[tuple[str, str, int]]:
        """A variant, a sentence on what of its messages did not reach the model as written, and in how many cells."""
        counts: Counter[tuple[int, str]] = Counter()
        for variant, notes, cells in read_notes(self.store, self._key):
            counts.update({(variant, note): cells for note in notes.splitlines()})
        return ((self._variants[variant], note, cells) for (variant, note), cells in counts.items())

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(metric.name for metric in self._metrics)

    def _index(self, variant: str) -> int:
        if variant not in self._variants:
            raise StoreError(f"Run {self.id} has no variant {variant!r}.", f"It has: {', '.join(self._variants)}.")
        return self._variants.index(variant)

    def _metric(self, name: str) -> int:
        """The place of a metric, the first for ""; one that the run does not have matches nothing."""
        return self._names.index(name) if name in self._names else -1 if name else 0

    def _query(self, filter: Filter, sort: Sort) -> matrix.Query:
        metric = self._metric(filter.metric)
        own = self._metrics[metric] if 0 <= metric < len(self._metrics) else None
        return matrix.Query(
            show=filter.show,
            metric=metric,
            threshold=own.threshold if own else None,
            lower=bool(own and own.lower_is_better),
            expected=filter.expected,
            text=filter.text.casefold(),
            by=sort.by,
            variant=self._index(sort.variant) if sort.variant else 0,
            sort_metric=self._metric(sort.metric),
            descending=sort.descending,
        )

    def _order(self, query: matrix.Query) -> array[int]:
        """The cases that a query asks for. Worked out once, and again when the run went on; not so often that it
        would take up the time."""
        run = self.run
        version = run.cases if query.plain else run.version
        with self._lock:
            known = self._orders.get(query)
            if known and known.version == version:
                return known.numbers
            begun = time.monotonic()
            if known and run.state == "running" and begun - known.made < _PATIENCE * known.cost:
                return known.numbers
            numbers = matrix.order_rows(self.store, self._key, query)
            now = time.monotonic()
            self._orders.pop(query, None)
            self._orders[query] = _Order(numbers, version, now, now - begun)
            while len(self._orders) > _ORDERS_KEPT:
                del self._orders[next(iter(self._orders))]
            return numbers

    def _page(self, numbers: Sequence[int]) -> list[MatrixRow]:
        if not numbers:
            return []
        cases, cells, scores = matrix.read_page(self.store, self._key, numbers, _PREVIEW)
        values: dict[tuple[int, int], dict[str, float]] = {}
        for number, variant, metric, value in scores:
            values.setdefault((number, variant), {})[self._names[metric]] = value
        lines: dict[tuple[int, int], list[matrix.CellLine]] = {}
        for cell in cells:
            lines.setdefault((cell.number, cell.variant), []).append(cell)
        known = {case.number: case for case in cases}
        return [
            MatrixRow(
                number,
                preview_case(known[number].body, _PREVIEW),
                known[number].expected,
                tuple(
                    _preview(name, lines.get((number, index), []), values.get((number, index), {}))
                    for index, name in enumerate(self._variants)
                ),
            )
            for number in numbers
            if number in known
        ]


def _preview(variant: str, repeats: list[matrix.CellLine], scores: dict[str, float]) -> CellPreview:
    """A cell of a row, from its finished repeats: the text of the first, the error of the first that failed."""
    if not repeats:
        return CellPreview(variant)
    error = next((one.error for one in repeats if one.failed), None)
    text = " ".join((repeats[0].text or "").split())
    state: CellState = "done" if error is None else "failed"
    return CellPreview(variant, state, text, scores, error or "", all(one.cached for one in repeats), len(repeats))


def actual_state(run: Run) -> ActualState:
    """A run's state as it really is."""
    return "interrupted" if run.state == "running" and not is_alive(run.owner) else run.state
