"""Fall: whether an adapter scores lower on new cases than it did when it was made, beyond noise.

Knows nothing of how the new cases were answered.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from workbench.errors import TrainingError
from workbench.evaluation.bench import AdapterChoice, Bench, Dataset, Variant, load_bench, with_variants
from workbench.evaluation.datasets import load_cases
from workbench.evaluation.progress import RunEvent, RunFinished
from workbench.evaluation.run import Evaluation, Options
from workbench.evaluation.sources import find_sources
from workbench.evaluation.summary import Estimate, Summary, summarize
from workbench.evaluation.view import Metric, RunView
from workbench.hosting.pool import Pool
from workbench.settings import Settings
from workbench.store.store import Store
from workbench.training.manifest import Measured
from workbench.training.registry import Registry

_LEVEL = 0.05


class Fall(msgspec.Struct, frozen=True):
    """An adapter then and now. before: as recorded on the validation split when it was made; now: on the new cases.

    verdict: fell, or rose, where the difference is beyond noise (two-sided test of two rates, 5%); else steady.
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
        """The finding, for a person."""
        now = f"{self.metric.name} {self.now.value:.3f} on {self.now.n} cases"
        numbers = f"{now}, {self.before:.3f} on {self.before_cases} before"
        if self.metric.free:
            return f"{self.adapter}: {numbers}. Whether that is chance cannot be told from means of such values."
        match self.verdict:
            case "steady":
                return f"{self.adapter} is as good as it was, as far as these cases tell: {numbers} (p = {self.p:.2f})."
            case "fell":
                return f"{self.adapter} has fallen beyond noise: {numbers} (p = {self.p:.3g}). Train it anew."
            case "rose":
                return (
                    f"{self.adapter} does better than before: {numbers} (p = {self.p:.3g}). Are the new cases easier?"
                )


class Asking(NamedTuple):
    """What an adapter is asked with. figures: works out what a run comes to, where not in this process.

    begun: is told the run, so that somebody can end it.
    """

    settings: Settings
    pool: Pool
    store: Store
    tell: Callable[[RunEvent], None]
    figures: Callable[[str], Summary] | None = None
    begun: Callable[[Evaluation], None] = lambda _: None


def measure_fall(name: str, bench_path: Path, asking: Asking) -> Fall:
    """Let an adapter answer the cases of a bench, and keep what it scored beside it. Raises WorkbenchError."""
    registry = Registry()
    entry = registry.find(name)
    made = entry.manifest
    if made is None or made.metrics is None or not made.metrics.scores:
        raise TrainingError(
            f"No score of {name} was recorded when it was made.", "Compare runs with `workbench drift`."
        )
    path = bench_path.absolute()
    bench = load_bench(path)
    variant = _choose(bench, made.prompt, str(entry.path))
    dataset = _need(bench.dataset, path)
    cases = load_cases(dataset, path.parent)
    asked = msgspec.structs.replace(with_variants(bench, (variant,)), perturbations=None)
    sources = find_sources(asked, path.parent, asking.settings)
    options = Options(note=f"is {entry.name} still good")
    run = Evaluation(asked, path, cases, asking.pool, sources, asking.store, options)
    summary = _answer(run, asking)
    metric = next((one for one in summary.metrics if one.name in made.metrics.scores), None)
    if metric is None:
        known = ", ".join(made.metrics.scores)
        raise TrainingError(f"{path.name} scores nothing that was recorded for {name} ({known}).", "Add that scorer.")
    now = summary.variant(variant.name).scores[metric.name]
    registry.measured(entry.name, Measured({metric.name: now.value}, now.n, str(cases.path), cases.digest, time.time()))
    return judge_fall(entry.name, metric, made.metrics.scores[metric.name], made.metrics.cases, now, run.run)


def _answer(run: Evaluation, asking: Asking) -> Summary:
    """What the adapter scores. Raises TrainingError when the run is ended before that."""
    asking.begun(run)
    whole = True
    for event in run.events():
        asking.tell(event)
        whole = event.finished if isinstance(event, RunFinished) else whole
    if not whole:
        raise TrainingError("It was stopped before every case was answered.", "Begin it again when you like.")
    return asking.figures(run.run) if asking.figures else summarize(RunView(asking.store, run.run))


def judge_fall(name: str, metric: Metric, before: float, cases: int, now: Estimate, run: str = "") -> Fall:
    """Whether two rates on different cases differ beyond noise."""
    p = 1.0 if metric.free else compare_rates(before, cases, now.value, now.n)
    worse = now.value > before if metric.lower_is_better else now.value < before
    verdict: Literal["fell", "rose", "steady"] = "steady" if p > _LEVEL else "fell" if worse else "rose"
    return Fall(name, metric, before, cases, now, p, verdict, run)


def compare_rates(first: float, first_cases: int, second: float, second_cases: int) -> float:
    """Fisher's exact test on what two rates between 0 and 1 count; 1 where there is nothing to tell."""
    if not first_cases or not second_cases or not (0 <= first <= 1 and 0 <= second <= 1) or math.isnan(second):
        return 1.0
    from scipy.stats import fisher_exact

    rights = round(first * first_cases), round(second * second_cases)
    table = [[rights[0], first_cases - rights[0]], [rights[1], second_cases - rights[1]]]
    return float(fisher_exact(table)[1])


def _choose(bench: Bench, prompt: str, adapter: str) -> Variant:
    found = next((one for one in bench.variants if one.prompt == prompt), None)
    if found is None:
        raise TrainingError(
            f"No variant of the bench uses the prompt {prompt}, which the adapter was trained for.", "Add one."
        )
    return msgspec.structs.replace(found, adapters=(AdapterChoice(adapter),))


def _need(dataset: Dataset | None, path: Path) -> Dataset:
    if dataset is None:
        raise TrainingError(f"{path} has no dataset.", "Name the new cases as its dataset.")
    return dataset
