"""CandidateEvaluator: batches of candidates x cases, carried out as runs of the matrix into a store."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench.datasets import Case
from workbench.inference.pool import Pool
from workbench.prompting.prompt import Prompt
from workbench.runs.bench import Bench, Variant, with_variants
from workbench.runs.cell import Cell, CellFinished
from workbench.runs.matrix_rows import Metric
from workbench.runs.plan import Plan
from workbench.runs.progress import RunFinished, RunProgress, RunStarted
from workbench.runs.run import Evaluation, RunOptions
from workbench.runs.sources import Sources
from workbench.search.budget import Spending
from workbench.search.candidate import Candidate
from workbench.search.journal import CaseResult
from workbench.store.store import Store

_MOST_TEXT = 2000
"""characters of an answer that the journal keeps"""


class SearchTask(NamedTuple):
    """What every batch has in common. path: the bench's file. prompt: the hand-written one. metric: that decides."""

    bench: Bench
    path: Path
    variant: Variant
    prompt: Prompt
    metric: Metric
    pool: Pool
    sources: Sources
    options: RunOptions


class BatchProgress(NamedTuple):
    """done, total: cells. spent: by this batch so far."""

    done: int
    total: int
    spent: Spending
    problem: str = ""


class BatchResult(NamedTuple):
    """run: its id in the store. results: by candidate, its cases in order. whole: False where it was cancelled."""

    run: str
    results: dict[str, tuple[CaseResult, ...]]
    spent: Spending
    whole: bool


class CandidateEvaluator:
    """Runs one batch at a time. `pause`, `unpause` and `cancel` may come from any thread."""

    def __init__(self, task: SearchTask, known: Store) -> None:
        """known: a store whose answers are taken too, whatever store a batch is written into."""
        self._task = task
        self._known = known
        self._running: Evaluation | None = None
        self._lock = threading.Lock()
        self._paused = False
        self._cancelled = False

    def plan(self, candidates: Sequence[Candidate], cases: Sequence[Case], store: Store) -> Plan:
        """What a batch would ask for. Starts nothing."""
        evaluation = self._open(candidates, cases, store, None, "")
        try:
            return evaluation.plan()
        finally:
            evaluation.close()

    def run(
        self,
        candidates: Sequence[Candidate],
        cases: Sequence[Case],
        store: Store,
        on_progress: Callable[[BatchProgress], bool],
        max_calls: int | None = None,
        max_money: float | None = None,
        calls_per_case: int = 1,
        note: str = "",
    ) -> BatchResult | None:
        """Carry a batch out; None, with nothing asked, where it might need more than max_calls.

        on_progress: says whether to go on. calls_per_case: the most answers of the model that a case takes, repeats
        among them. Answers that either store knows are taken from there, whoever asked for them.
        """
        evaluation = self._open(candidates, cases, store, max_money, note)
        try:
            per_cell = calls_per_case // self._task.bench.repeats
            if max_calls is not None and count_calls(evaluation.plan(), per_cell) > max_calls:
                return None
            with self._follow(evaluation):
                return self._collect(evaluation, candidates, on_progress)
        finally:
            evaluation.close()

    def pause(self) -> None:
        self._paused = True
        with self._lock:
            if self._running:
                self._running.pause()

    def unpause(self) -> None:
        self._paused = False
        with self._lock:
            if self._running:
                self._running.unpause()

    def cancel(self) -> None:
        """End the batch soon, and every later one at once."""
        self._cancelled = True
        with self._lock:
            if self._running:
                self._running.cancel()

    @contextmanager
    def _follow(self, evaluation: Evaluation) -> Iterator[None]:
        with self._lock:
            self._running = evaluation
        if self._cancelled:
            evaluation.cancel()
        if self._paused:
            evaluation.pause()
        try:
            yield
        finally:
            with self._lock:
                self._running = None

    def _open(
        self, candidates: Sequence[Candidate], cases: Sequence[Case], store: Store, money: float | None, note: str
    ) -> Evaluation:
        task = self._task
        prompts = {one.id: one.prompt(task.prompt) for one in candidates}
        bench = with_variants(task.bench, (one.variant(task.variant) for one in candidates))
        bench = msgspec.structs.replace(bench, dataset=None, perturbations=None, thresholds={})
        sources = task.sources._replace(open_prompt=lambda name: prompts.get(name) or task.sources.open_prompt(name))
        options = msgspec.structs.replace(task.options, max_cost=money, note=note)
        others = () if store is self._known else (self._known,)
        return Evaluation(bench, task.path, cases, task.pool, sources, store, options, others=others)

    def _collect(
        self, evaluation: Evaluation, candidates: Sequence[Candidate], on_progress: Callable[[BatchProgress], bool]
    ) -> BatchResult:
        cells: dict[str, dict[int, list[Cell]]] = {one.id: {} for one in candidates}
        spent, done, total, whole, money = Spending(), 0, 0, False, 0.0
        for event in evaluation.events():
            if isinstance(event, RunStarted):
                total = event.plan.cells
            elif isinstance(event, CellFinished):
                done += 1
                cells[event.cell.variant].setdefault(event.cell.case, []).append(event.cell)
                spent += _spent(event.cell)
            elif isinstance(event, RunProgress):
                money = event.spent
                progress = BatchProgress(done, total, msgspec.structs.replace(spent, money=money), event.problem)
                if not on_progress(progress):
                    evaluation.cancel()
            elif isinstance(event, RunFinished):
                whole, money = event.finished, event.spent
        results = {
            name: tuple(self._summarize(case, own) for case, own in sorted(found.items()))
            for name, found in cells.items()
        }
        return BatchResult(evaluation.run, results, msgspec.structs.replace(spent, money=money), whole)

    def _summarize(self, case: int, cells: Sequence[Cell]) -> CaseResult:
        """The mean over the repeats of a case; a failed or unscored repeat leaves the case without a value."""
        metric = self._task.metric
        values = [_read_value(cell, metric.name) for cell in cells]
        known = [value for value in values if value is not None]
        mean = sum(known) / len(known) if known and len(known) == len(values) else None
        first = min(cells, key=lambda cell: cell.repeat)
        score = next((one for one in first.scores if one.scorer == metric.name), None)
        return CaseResult(
            case,
            -mean if mean is not None and metric.lower_is_better else mean,
            first.completion.text[:_MOST_TEXT],
            score.explanation if score else "",
            next((cell.error for cell in cells if cell.error), ""),
            first.completion.prompt_tokens,
            first.completion.output_tokens,
            all(cell.cached for cell in cells),
        )


def count_calls(plan: Plan, per_cell: int = 1) -> int:
    """The most answers that a batch may ask for. per_cell: those that a cell takes at most."""
    return per_cell * (plan.cells - (0 if plan.estimated else plan.cached))


def _spent(cell: Cell) -> Spending:
    """What a cell cost; its money is counted by the run, judges among it."""
    made = [one for one in cell.steps if one.state in ("done", "failed")]
    calls = [(one.cached, one.completion) for one in made] or [(cell.cached, cell.completion)]
    return Spending(
        sum(not cached for cached, _ in calls),
        sum(cached for cached, _ in calls),
        sum(done.prompt_tokens for cached, done in calls if not cached),
        sum(done.output_tokens for cached, done in calls if not cached),
    )


def _read_value(cell: Cell, metric: str) -> float | None:
    if cell.error:
        return None
    score = next((one for one in cell.scores if one.scorer == metric), None)
    known = score is not None and score.applies and math.isfinite(score.value)
    return score.value if score is not None and known else None
