"""Checks an adapter for regression: whether it scores significantly lower on new cases than when it was trained."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from workbench.analysis.summary import Estimate, Summary, summarize
from workbench.datasets import load_cases
from workbench.datasets.spec import Dataset
from workbench.errors import TrainingError
from workbench.inference.pool import Pool
from workbench.runs.bench import AdapterChoice, Bench, Variant, load_bench, with_variants
from workbench.runs.matrix_rows import Metric
from workbench.runs.progress import RunEvent, RunFinished
from workbench.runs.run import Evaluation, RunOptions
from workbench.runs.sources import find_sources
from workbench.runs.view import RunView
from workbench.settings import Settings
from workbench.store.store import Store
from workbench.training.manifest import DatasetScores
from workbench.training.registry import Registry
from workbench.units import format_plural

_LEVEL = 0.05


class RegressionCheck(msgspec.Struct, frozen=True):
    """before: the score recorded on the validation split after training; now: on the new cases.

    verdict: fell, or rose, where the difference is significant (two-sided Fisher's exact test, 5%); else steady.
    """

    adapter: str
    metric: Metric
    before: float
    before_cases: int
    now: Estimate
    p: float
    verdict: Literal["fell", "rose", "steady"]
    run: str = ""

    @property
    def sentence(self) -> str:
        """The result in words."""
        now = f"{self.metric.name} {self.now.value:.3f} on {format_plural(self.now.n, 'case')}"
        numbers = f"{now}, {self.before:.3f} on {self.before_cases} before"
        if self.metric.free:
            return f"{self.adapter}: {numbers}. Significance is not known for means of such values."
        match self.verdict:
            case "steady":
                return f"{self.adapter} shows no significant change: {numbers} (p = {self.p:.2f})."
            case "fell":
                return f"{self.adapter} has regressed: {numbers} (p = {self.p:.3g}). Train it again."
            case "rose":
                return f"{self.adapter} has improved: {numbers} (p = {self.p:.3g}). The new cases may be easier."


class CheckContext(NamedTuple):
    """What a check runs with. figures: computes the summary of a run, where not in this process.

    begun: called with the run, so that it can be cancelled.
    """

    settings: Settings
    pool: Pool
    store: Store
    emit: Callable[[RunEvent], None]
    figures: Callable[[str], Summary] | None = None
    begun: Callable[[Evaluation], None] = lambda _: None


def check_regression(name: str, bench_path: Path, context: CheckContext) -> RegressionCheck:
    """Run an adapter on the cases of a bench, and record its score in the registry. Raises WorkbenchError."""
    registry = Registry()
    entry = registry.find(name)
    made = entry.manifest
    if made is None or made.metrics is None or not made.metrics.scores:
        raise TrainingError(f"No score was recorded when {name} was trained.", "Compare runs with `workbench drift`.")
    path = bench_path.absolute()
    bench = load_bench(path)
    variant = _choose_variant(bench, made.prompt, str(entry.path))
    dataset = _require_dataset(bench.dataset, path)
    cases = load_cases(dataset, path.parent)
    asked = msgspec.structs.replace(with_variants(bench, (variant,)), perturbations=None)
    sources = find_sources(asked, path.parent, context.settings)
    options = RunOptions(note=f"regression check of {entry.name}")
    run = Evaluation(asked, path, cases, context.pool, sources, context.store, options)
    summary = _answer(run, context)
    metric = next((one for one in summary.metrics if one.name in made.metrics.scores), None)
    if metric is None:
        known = ", ".join(made.metrics.scores)
        raise TrainingError(f"{path.name} has none of the scorers recorded for {name} ({known}).", "Add one of them.")
    now = summary.variant(variant.name).scores[metric.name]
    registry.measured(
        entry.name, DatasetScores({metric.name: now.value}, now.n, str(cases.path), cases.digest, time.time())
    )
    return judge_regression(entry.name, metric, made.metrics.scores[metric.name], made.metrics.cases, now, run.run)


def _answer(run: Evaluation, context: CheckContext) -> Summary:
    """The summary of the run. Raises TrainingError when it is cancelled."""
    context.begun(run)
    whole = True
    for event in run.events():
        context.emit(event)
        whole = event.finished if isinstance(event, RunFinished) else whole
    if not whole:
        raise TrainingError("The check was cancelled before every case was answered.", "Run it again.")
    return context.figures(run.run) if context.figures else summarize(RunView(context.store, run.run))


def judge_regression(
    name: str, metric: Metric, before: float, cases: int, now: Estimate, run: str = ""
) -> RegressionCheck:
    """Whether two rates on different cases differ significantly."""
    p = 1.0 if metric.free else compare_rates(before, cases, now.value, now.n)
    worse = now.value > before if metric.lower_is_better else now.value < before
    verdict: Literal["fell", "rose", "steady"] = "steady" if p > _LEVEL else "fell" if worse else "rose"
    return RegressionCheck(name, metric, before, cases, now, p, verdict, run)


def compare_rates(first: float, first_cases: int, second: float, second_cases: int) -> float:
    """The p of Fisher's exact test on two rates between 0 and 1; 1 where they cannot be compared."""
    if not first_cases or not second_cases or not (0 <= first <= 1 and 0 <= second <= 1) or math.isnan(second):
        return 1.0
    from scipy.stats import fisher_exact

    rights = round(first * first_cases), round(second * second_cases)
    table = [[rights[0], first_cases - rights[0]], [rights[1], second_cases - rights[1]]]
    return float(fisher_exact(table)[1])


def _choose_variant(bench: Bench, prompt: str, adapter: str) -> Variant:
    found = next((one for one in bench.variants if one.prompt == prompt), None)
    if found is None:
        raise TrainingError(
            f"No variant of the bench uses the prompt {prompt}, which the adapter was trained on.", "Add one."
        )
    return msgspec.structs.replace(found, adapters=(AdapterChoice(adapter),))


def _require_dataset(dataset: Dataset | None, path: Path) -> Dataset:
    if dataset is None:
        raise TrainingError(f"{path} has no dataset.", "Add the new cases as its dataset.")
    return dataset
