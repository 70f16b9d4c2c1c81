"""The runs of a verdict: the best prompt, selected on another split; the optimized one and the adapter beside it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from workbench.analysis.retention import Retention, RetentionQuery, check_retention
from workbench.analysis.summary import Estimate, Summary, summarize
from workbench.datasets import load_cases
from workbench.datasets.row_digests import SeenRows, read_digests
from workbench.datasets.spec import Part
from workbench.errors import TrainingError
from workbench.inference.pool import Pool
from workbench.runs.bench import AdapterChoice, KeptTask, Variant, load_bench, with_variants
from workbench.runs.cost import find_price
from workbench.runs.generation import enabled_examples
from workbench.runs.progress import RunEvent
from workbench.runs.run import Evaluation, RunOptions
from workbench.runs.sources import Sources, find_sources
from workbench.runs.view import RunView
from workbench.settings import Settings
from workbench.store.store import Store
from workbench.training.bench_splits import BenchSplits, find_auto_split
from workbench.training.contenders import JudgedAdapter, OptimizedPrompt, VerdictRequest, find_contenders
from workbench.training.manifest import Manifest
from workbench.training.recommendation import conclude
from workbench.training.search_record import searches_folder
from workbench.training.verdict import WITH_RETRIEVAL, Condition, CurvePair, CurvePoint, Verdict, VerdictEvidence

Stage = Literal["choosing", "testing", "timing", "retention", "curve"]


class StageStarted(msgspec.Struct, frozen=True):
    """What the runs that follow are for."""

    stage: Stage


EmitVerdictEvent = Callable[[RunEvent | StageStarted], None]


class VerdictFigures(NamedTuple):
    """What works out figures, for a process that loads no statistics library."""

    summarize: Callable[[str], Summary]
    check_retention: Callable[[str, RetentionQuery], Retention]


_SHOTS = (0, 1, 2, 4, 8, 16, 32)
_TIMED = 20
"""Cases that are answered again one at a time, for their latency."""


class VerdictRun:
    """One verdict. Raises WorkbenchError for what it cannot compare."""

    def __init__(
        self,
        wanted: VerdictRequest,
        settings: Settings,
        pool: Pool,
        store: Store,
        emit: EmitVerdictEvent,
        figures: VerdictFigures | None = None,
    ) -> None:
        """figures: None computes them here."""
        self._wanted = wanted
        self._path = wanted.bench.absolute()
        self._bench = load_bench(self._path)
        if wanted.price is not None:
            self._bench = msgspec.structs.replace(self._bench, prices={"*": wanted.price})
        self._figures = figures or VerdictFigures(
            lambda run: summarize(RunView(store, run)),
            lambda task, query: check_retention(RunView(store, query.run), task, query),
        )
        self._cancelled = threading.Event()
        self._running: Evaluation | None = None
        self._pool = pool
        self._store = store
        self._emit = emit
        self._settings = settings
        self._sources: Sources = find_sources(self._bench, self._path.parent, settings)
        found = find_contenders(wanted, self._bench, self._sources, settings)
        self._prompts, self._optimized, self._adapter = found
        auto = find_auto_split(self._adapter.manifest if self._adapter else None, self._path)
        self._splits = BenchSplits(self._bench, self._path, store, wanted.limit, auto)

    @property
    def manifest(self) -> Manifest:
        """How the adapter was trained. Raises TrainingError where that is unknown."""
        if self._adapter is None or self._adapter.manifest is None:
            name = self._adapter.name if self._adapter else "the adapter"
            raise TrainingError(
                f"How {name} was trained is unknown, so there is no learning curve.",
                "Leave the learning curve out, or choose an adapter that was trained here.",
            )
        return self._adapter.manifest

    def judge(self) -> Verdict:
        """Run it. Raises TrainingError when it is cancelled."""
        best, chosen_on = self._choose_prompt()
        conditions = self._assign_conditions(best)
        variants = tuple({variant.name: variant for variant in conditions.values()}.values())
        self._emit(StageStarted("testing"))
        summary = self._time(variants, self._run(variants, "test", cache=False))
        price = find_price(self._bench.prices, next(iter(conditions.values())).model)
        evidence = VerdictEvidence(
            summary=summary,
            variants={condition: variant.name for condition, variant in conditions.items()},
            shown={one.name: (_name_prompt(one), one.model, _name_adapters(one)) for one in variants},
            manifest=self._adapter.manifest if self._adapter else None,
            dataset=str(self._splits.cases("test").path),
            chosen_on=chosen_on,
            tried=len(self._prompts),
            price=price,
            created=time.time(),
            adapter=self._adapter.name if self._adapter else "",
            search=self._optimized.record if self._optimized else None,
            searched=self._count_searched(self._optimized) if self._optimized else None,
            edited=self._optimized.edited if self._optimized else False,
            retention=self._measure_retention(conditions),
        )
        return conclude(self._draw_curve(conditions, evidence) if self._wanted.curve else evidence)

    def check_curve(self) -> None:
        """Raise TrainingError where the data have no validation split of their own for a learning curve.

        It is never drawn on the test split: a number of rows that is picked by it could no longer be tested.
        """
        self._splits.check_validation()

    def cancel(self) -> None:
        """Cancel it soon; from any thread."""
        self._cancelled.set()
        running = self._running
        if running is not None:
            running.cancel()

    # --- conditions ------------------------------------------------------------------------------------------

    def _count_searched(self, optimized: OptimizedPrompt) -> int | None:
        """Test cases that the search has used, as they are or but for case and spacing; None where that is unknown."""
        digests = read_digests(searches_folder() / optimized.record.search) if optimized.record else None
        if digests is None:
            return None
        found = SeenRows(digests).find((case.number, case.variables) for case in self._splits.cases("test"))
        return sum(one.kind != "near" for one in found)

    def _assign_conditions(self, best: Variant) -> dict[Condition, Variant]:
        """The variant of each condition; one may stand for two."""
        adapter, optimized, without = self._adapter, self._optimized, self._wanted.without
        trained_on = adapter.manifest.prompt if adapter and adapter.manifest else ""
        short = next((one for one in self._prompts if one.prompt == trained_on), None)
        plain = short or next((one for one in self._prompts if not self._has_examples(one)), self._prompts[0])
        shot = (
            best if self._has_examples(best) else next((one for one in self._prompts if self._has_examples(one)), None)
        )
        conditions: dict[Condition, Variant] = {"zero-shot": plain}
        if shot and "few-shot" not in without:
            conditions["few-shot"] = shot
        conditions["best prompt"] = best
        if optimized:
            conditions["optimized prompt"] = optimized.variant
        if adapter:
            conditions["adapter"] = self._with_adapter(plain, "adapter", adapter)
            if "few-shot" in conditions and "hybrid" not in without:
                conditions["adapter, few-shot"] = self._with_adapter(
                    conditions["few-shot"], "adapter, few-shot", adapter
                )
            if optimized and "hybrid" not in without:
                conditions["adapter, optimized prompt"] = self._with_adapter(
                    optimized.variant, "adapter, optimized prompt", adapter
                )
        return conditions

    def _has_examples(self, variant: Variant) -> bool:
        return bool(enabled_examples(variant, self._sources.open_prompt(variant.prompt)))

    def _with_adapter(self, variant: Variant, name: str, adapter: JudgedAdapter) -> Variant:
        taken = {one.name for one in self._bench.variants}
        label = name if name not in taken else f"{name} {adapter.name}"
        return msgspec.structs.replace(variant, name=label, adapters=(AdapterChoice(str(adapter.path)),))

    def _choose_prompt(self) -> tuple[Variant, str]:
        """The best prompt by the first metric, and the split it was selected on: test only where there is no other."""
        if len(self._prompts) == 1:
            return self._prompts[0], ""
        candidates: tuple[Part, ...] = ("validation", "train")
        split: Part = next((name for name in candidates if self._splits.has(name)), "test")
        self._emit(StageStarted("choosing"))
        summary = self._run(self._prompts, split, cache=True)
        best = next((one for one in self._prompts if one.name == summary.best), self._prompts[0])
        return best, split

    # --- runs -------------------------------------------------------------------------------------------------

    def _time(self, variants: tuple[Variant, ...], summary: Summary) -> Summary:
        """The summary with latencies of single requests: concurrent ones wait for each other's steps."""
        if self._wanted.concurrency == 1:
            return summary
        self._emit(StageStarted("timing"))
        alone = self._run(variants, "test", cache=False, timed=True)
        speeds = {
            one.name: {name: getattr(one, name) for name in ("latency_p50", "latency_p95", "tokens_per_second")}
            for one in alone.variants
        }
        measured = tuple(msgspec.structs.replace(one, **speeds[one.name]) for one in summary.variants)
        note = f"Latencies are of the first {alone.cases:,} cases, answered again one at a time."
        return msgspec.structs.replace(summary, variants=measured, notes=(*summary.notes, note))

    def _run(self, variants: tuple[Variant, ...], split: Part, cache: bool, timed: bool = False) -> Summary:
        """timed: a few cases, one at a time."""
        dataset = self._splits.dataset(split)
        if timed:
            dataset = msgspec.structs.replace(dataset, limit=min(dataset.limit or _TIMED, _TIMED))
        bench = with_variants(self._bench, variants)
        bench = msgspec.structs.replace(bench, dataset=dataset, perturbations=None)
        options = RunOptions(
            strategy=self._bench.context_strategy or self._settings.context_strategy,
            concurrency=1 if timed else self._wanted.concurrency,
            cache=cache,
            name=f"{self._path.name.removesuffix('.bench.yaml')} verdict",
            note=f"{'verdict on' if split == 'test' else 'prompt selection for the verdict on'} {self._subject}",
        )
        cases = load_cases(dataset, self._path.parent)
        run = Evaluation(bench, self._path, cases, self._pool, self._sources, self._store, options)
        self._follow(run)
        summary = self._figures.summarize(run.run)
        if not summary.metrics:
            raise TrainingError(
                f"No answer on the {split} split could be scored.", f"See the errors: workbench runs {run.run}"
            )
        return summary

    def _measure_retention(self, conditions: Mapping[Condition, Variant]) -> tuple[Retention, ...]:
        """The tasks that the bench wants kept, each with the base alone and with the adapter."""
        if self._adapter is None or not self._bench.keep:
            return ()
        self._emit(StageStarted("retention"))
        return tuple(self._keep(task, conditions["zero-shot"], self._adapter) for task in self._bench.keep)

    def _keep(self, task: KeptTask, plain: Variant, adapter: JudgedAdapter) -> Retention:
        base = msgspec.structs.replace(plain, name="base", adapters=())
        if task.prompt:
            base = msgspec.structs.replace(base, prompt=task.prompt, examples_off=())
        adapted = msgspec.structs.replace(base, name="adapter", adapters=(AdapterChoice(str(adapter.path)),))
        bench = msgspec.structs.replace(
            with_variants(self._bench, (base, adapted)),
            dataset=task.dataset,
            scorers=task.scorers or self._bench.scorers,
            perturbations=None,
            thresholds={},
        )
        options = RunOptions(
            strategy=self._bench.context_strategy or self._settings.context_strategy,
            concurrency=self._wanted.concurrency,
            name=f"{self._path.name.removesuffix('.bench.yaml')} verdict, {task.name}",
            note=f"what {adapter.name} keeps of {task.name}",
        )
        cases = load_cases(task.dataset, self._path.parent)
        run = Evaluation(bench, self._path, cases, self._pool, self._sources, self._store, options)
        self._follow(run)
        return self._figures.check_retention(task.name, RetentionQuery(run.run, "base", "adapter", task.margin))

    @property
    def _subject(self) -> str:
        """What the verdict is on, by its names."""
        names = (
            self._optimized.variant.prompt if self._optimized else "",
            self._adapter.name if self._adapter else "",
        )
        return " and ".join(name for name in names if name)

    def _follow(self, run: Evaluation) -> None:
        """Emit the events of a run to its end. Raises TrainingError when it is cancelled."""
        self._running = run
        if self._cancelled.is_set():  # before there was a run to end
            run.cancel()
        for event in run.events():
            self._emit(event)
        self._running = None
        if self._cancelled.is_set():
            raise TrainingError("The verdict was cancelled.", "Run it again.")

    # --- the curve -----------------------------------------------------------------------------------------------

    def _draw_curve(self, conditions: Mapping[Condition, Variant], evidence: VerdictEvidence) -> VerdictEvidence:
        """The evidence with scores on the validation split, by training rows and by shots, and how they compare."""
        self.check_curve()
        rows = {f"{count} rows": count for count in self._wanted.curve}
        variants = [
            msgspec.structs.replace(
                conditions["zero-shot"], name=name, adapters=(AdapterChoice(self._wanted.curve[count]),)
            )
            for name, count in rows.items()
        ]
        shots = self._count_shots(conditions)
        self._emit(StageStarted("curve"))
        summary = self._run((*variants, *shots.values()), "validation", cache=True)
        metric = summary.metrics[0].name
        found = [CurvePoint("rows", count, _read_score(summary, name, metric)) for name, count in rows.items()]
        found += [CurvePoint("shots", n, _read_score(summary, one.name, metric)) for n, one in shots.items()]
        pairs = tuple(
            CurvePair(count, n, pair.n, pair.p_adjusted, pair.verdict, pair.family)
            for name, count in rows.items()
            for n, one in shots.items()
            if (pair := summary.pair(one.name, name, metric)) is not None
        )
        return msgspec.structs.replace(evidence, curve=tuple(found), curve_pairs=pairs)

    def _count_shots(self, conditions: Mapping[Condition, Variant]) -> dict[int, Variant]:
        """The few-shot prompt with the first so many of its examples."""
        shot = conditions.get("few-shot")
        if shot is None:
            return {}
        bare = msgspec.structs.replace(shot, examples_off=())
        every = enabled_examples(bare, self._sources.open_prompt(shot.prompt))
        counts = sorted({count for count in _SHOTS if count < len(every)} | {len(every)})
        return {
            count: msgspec.structs.replace(
                shot, name=f"{count} shots", examples_off=tuple(example.id for example in every[count:])
            )
            for count in counts
        }


def _read_score(summary: Summary, variant: str, metric: str) -> Estimate:
    return summary.variant(variant).scores.get(metric, Estimate(math.nan, math.nan, math.nan, 0))


def _name_prompt(variant: Variant) -> str:
    """`handbook/question with retrieval (bm25 k=3)`."""
    retrieval = variant.retrieval
    shows = retrieval is not None and (retrieval.by != "none" or bool(retrieval.pin))
    return f"{variant.prompt}{WITH_RETRIEVAL} ({retrieval})" if shows else variant.prompt


def _name_adapters(variant: Variant) -> str:
    return " + ".join(Path(choice.adapter).name for choice in variant.adapters if choice.on)
