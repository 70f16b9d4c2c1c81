"""Contest: the best prompt and the adapter answer the same test split, the best prompt chosen beforehand elsewhere.

Knows nothing of what follows from the numbers (verdict.py).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from workbench.errors import TrainingError, WorkbenchError
from workbench.evaluation.bench import AdapterChoice, Dataset, Variant, load_bench, with_variants
from workbench.evaluation.cost import Price, find_price
from workbench.evaluation.datasets import Case, Cases, load_cases
from workbench.evaluation.launch import enabled_examples
from workbench.evaluation.progress import RunEvent
from workbench.evaluation.run import Evaluation, Options
from workbench.evaluation.sources import Sources, find_sources
from workbench.evaluation.summary import Estimate, Summary, summarize
from workbench.evaluation.view import RunView
from workbench.hosting.pool import Pool
from workbench.settings import Settings
from workbench.store.store import Store
from workbench.training.conclusion import conclude
from workbench.training.evidence import Evidence
from workbench.training.manifest import Manifest
from workbench.training.registry import Entry, Registry
from workbench.training.verdict import Arm, CurvePair, CurvePoint, Verdict

Stage = Literal["choosing", "testing", "timing", "curve"]


class StageBegan(msgspec.Struct, frozen=True):
    """What the answers that follow are for."""

    stage: Stage


Tell = Callable[[RunEvent | StageBegan], None]
Summarize = Callable[[str], Summary]

_SHOTS = (0, 1, 2, 4, 8, 16, 32)
_MOST_CHOOSING = 500
"""cases by which the best prompt is chosen"""

_TIMED = 20
"""cases that are answered a second time, one by one, for their latency"""


class Wanted(NamedTuple):
    """What a verdict is asked on. adapter: "": the bench's own, else the newest that suits. at_once: requests side by
    side; latencies are measured on a few cases afterwards, one by one. limit: the first so many cases, 0 for all.
    curve: adapters that learned so many rows; with any, shots are counted as well. price: of every model, instead of
    what the bench says."""

    bench: Path
    adapter: str = ""
    at_once: int = 4
    limit: int = 0
    curve: Mapping[int, str] = {}
    price: Price | None = None


class Contest:
    """One verdict in the making. Raises WorkbenchError for what it cannot compare."""

    def __init__(
        self,
        wanted: Wanted,
        settings: Settings,
        pool: Pool,
        store: Store,
        tell: Tell,
        figures: Summarize | None = None,
    ) -> None:
        """figures: works out what a run comes to, for those that want no statistics library in their own process."""
        self._wanted = wanted
        self._path = wanted.bench.absolute()
        self._bench = load_bench(self._path)
        if wanted.price is not None:
            self._bench = msgspec.structs.replace(self._bench, prices={"*": wanted.price})
        self._figures = figures or (lambda run: summarize(RunView(store, run)))
        self._cancelled = threading.Event()
        self._running: Evaluation | None = None
        self._pool = pool
        self._store = store
        self._tell = tell
        self._settings = settings
        self._sources: Sources = find_sources(self._bench, self._path.parent, settings)
        self._prompts = tuple(one for one in self._bench.variants if not any(a.on and a.scale for a in one.adapters))
        if not self._prompts:
            raise TrainingError(
                f"{self._path} has no variant without an adapter, so there is no prompt to compare with.",
                "Add the plain prompt as a variant.",
            )
        self._entry = self._find_adapter()

    @property
    def manifest(self) -> Manifest:
        made = self._entry.manifest
        assert made is not None
        return made

    def judge(self) -> Verdict:
        """Carry it out. Raises TrainingError when it is cancelled meanwhile."""
        best, chosen_on = self._choose_prompt()
        arms = self._cast(best)
        variants = tuple({variant.name: variant for variant in arms.values()}.values())
        self._tell(StageBegan("testing"))
        summary = self._time(variants, self._run(variants, "test", cache=False))
        price = find_price(self._bench.prices, next(iter(arms.values())).model)
        evidence = Evidence(
            summary=summary,
            variants={arm: variant.name for arm, variant in arms.items()},
            shown={one.name: (one.prompt, one.model, _name_adapters(one)) for one in variants},
            manifest=self.manifest,
            dataset=str(self._cases("test").path),
            chosen_on=chosen_on,
            tried=len(self._prompts),
            price=price,
            created=time.time(),
        )
        return conclude(self._draw_curve(arms, evidence) if self._wanted.curve else evidence)

    def check_curve(self) -> None:
        """Raise TrainingError where the data have no validation split of their own for a learning curve.

        The test split never draws it: whoever picks a number of rows by it has nothing left to judge the choice by.
        """
        if not self._has("validation"):
            raise TrainingError(
                f"A learning curve needs a validation split, and the data of {self._path.name} have none.",
                "Put validation.jsonl beside the test split, or leave the curve out.",
            )
        held = {_identify(case) for case in self._cases("test")}
        own = [_identify(case) in held for case in self._cases("validation")]
        if 2 * sum(own) > len(own):
            raise TrainingError(
                f"{sum(own):,} of the {len(own):,} validation cases stand in the test split as well, so a learning"
                " curve would be drawn on the test split.",
                "Give the validation split cases of its own, or leave the curve out.",
            )

    def cancel(self) -> None:
        """End it soon; from any thread."""
        self._cancelled.set()
        running = self._running
        if running is not None:
            running.cancel()

    # --- who takes part ------------------------------------------------------------------------------------------

    def _find_adapter(self) -> Entry:
        registry = Registry()
        if self._wanted.adapter:
            return _sound(registry.find(self._wanted.adapter))
        for variant in self._bench.variants:
            for choice in variant.adapters:
                try:
                    return _sound(registry.find(choice.adapter))
                except WorkbenchError:
                    continue
        prompts = {variant.prompt for variant in self._prompts}
        fitting = [e for e in registry.entries() if e.manifest and e.manifest.prompt in prompts and e.rank != "retired"]
        promoted = [entry for entry in fitting if entry.rank == "promoted"]
        if not fitting:
            raise TrainingError(
                f"No adapter that was trained here suits a prompt of {self._path.name}.",
                f"Train one with f9 on the bench, or: workbench train --bench {self._wanted.bench}"
                f" --variant {self._prompts[0].name!r}",
            )
        return (promoted or fitting)[0]

    def _cast(self, best: Variant) -> dict[Arm, Variant]:
        """Who stands for which arm; one variant may stand for two."""
        short = next((one for one in self._prompts if one.prompt == self.manifest.prompt), None)
        plain = short or next((one for one in self._prompts if not self._shows(one)), self._prompts[0])
        shot = best if self._shows(best) else next((one for one in self._prompts if self._shows(one)), None)
        arms: dict[Arm, Variant] = {"zero-shot": plain}
        if shot:
            arms["few-shot"] = shot
        arms["best prompt"] = best
        arms["adapter"] = self._lay_over(plain, "adapter")
        if shot:
            arms["adapter, few-shot"] = self._lay_over(shot, "adapter, few-shot")
        return arms

    def _shows(self, variant: Variant) -> bool:
        return bool(enabled_examples(variant, self._sources.open_prompt(variant.prompt)))

    def _lay_over(self, variant: Variant, name: str) -> Variant:
        taken = {one.name for one in self._prompts}
        label = name if name not in taken else f"{name} {self._entry.name}"
        return msgspec.structs.replace(variant, name=label, adapters=(AdapterChoice(str(self._entry.path)),))

    def _choose_prompt(self) -> tuple[Variant, str]:
        """The best prompt by the first metric, and the split it was chosen on: never the test split, where there is
        another."""
        if len(self._prompts) == 1:
            return self._prompts[0], ""
        split = next((name for name in ("validation", "train") if self._has(name)), "test")
        self._tell(StageBegan("choosing"))
        summary = self._run(self._prompts, split, cache=True)
        best = next((one for one in self._prompts if one.name == summary.best), self._prompts[0])
        return best, split

    # --- answers -------------------------------------------------------------------------------------------------

    def _time(self, variants: tuple[Variant, ...], summary: Summary) -> Summary:
        """The summary with speeds of answers that were alone: side by side, each waits for the others' steps."""
        if self._wanted.at_once == 1:
            return summary
        self._tell(StageBegan("timing"))
        alone = self._run(variants, "test", cache=False, timed=True)
        speeds = {
            one.name: {name: getattr(one, name) for name in ("latency_p50", "latency_p95", "tokens_per_second")}
            for one in alone.variants
        }
        measured = tuple(msgspec.structs.replace(one, **speeds[one.name]) for one in summary.variants)
        note = f"Latencies are of the first {alone.cases:,} cases, answered again one by one."
        return msgspec.structs.replace(summary, variants=measured, notes=(*summary.notes, note))

    def _run(self, variants: tuple[Variant, ...], split: str, cache: bool, timed: bool = False) -> Summary:
        """timed: a few cases, one by one."""
        dataset = self._dataset(split)
        if timed:
            dataset = msgspec.structs.replace(dataset, limit=min(dataset.limit or _TIMED, _TIMED))
        bench = with_variants(self._bench, variants)
        bench = msgspec.structs.replace(bench, dataset=dataset, perturbations=None)
        options = Options(
            strategy=self._bench.context_strategy or self._settings.context_strategy,
            at_once=1 if timed else self._wanted.at_once,
            cache=cache,
            name=f"{self._path.name.removesuffix('.bench.yaml')} verdict",
            note=f"{'verdict on' if split == 'test' else 'choosing for the verdict on'} {self._entry.name}",
        )
        cases = load_cases(dataset, self._path.parent)
        run = Evaluation(bench, self._path, cases, self._pool, self._sources, self._store, options)
        self._follow(run)
        summary = self._figures(run.run)
        if not summary.metrics:
            raise TrainingError(
                f"No answer on the {split} split could be scored.", f"`workbench runs {run.run}` shows what went wrong."
            )
        return summary

    def _follow(self, run: Evaluation) -> None:
        """Tell what a run does, to its end. Raises TrainingError when it is cancelled."""
        self._running = run
        if self._cancelled.is_set():  # before there was a run to end
            run.cancel()
        for event in run.events():
            self._tell(event)
        self._running = None
        if self._cancelled.is_set():
            raise TrainingError("The verdict was stopped before it was reached.", "Begin it again when you like.")

    def _dataset(self, split: str) -> Dataset:
        if self._bench.dataset is None:
            raise TrainingError(
                f"{self._path} has no dataset.", "Give it one, with the splits train, validation, test."
            )
        limit = self._wanted.limit or (_MOST_CHOOSING if split != "test" else None)
        plain = msgspec.structs.replace(self._bench.dataset, split=split, limit=limit, sample=None)
        return plain if self._has(split) else msgspec.structs.replace(plain, split=self._bench.dataset.split)

    def _cases(self, split: str) -> Cases:
        return load_cases(self._dataset(split), self._path.parent)

    def _has(self, split: str) -> bool:
        """Whether the bench's data have such a part."""
        if self._bench.dataset is None:
            return False
        try:
            load_cases(
                msgspec.structs.replace(self._bench.dataset, split=split, limit=1, sample=None), self._path.parent
            )
        except WorkbenchError:
            return False
        return True

    # --- the curve -----------------------------------------------------------------------------------------------

    def _draw_curve(self, arms: Mapping[Arm, Variant], evidence: Evidence) -> Evidence:
        """The evidence with scores on the validation split, by training rows and by shots, and how they compare."""
        self.check_curve()
        rows = {f"{count} rows": count for count in self._wanted.curve}
        variants = [
            msgspec.structs.replace(arms["zero-shot"], name=name, adapters=(AdapterChoice(self._wanted.curve[count]),))
            for name, count in rows.items()
        ]
        shots = self._count_shots(arms)
        self._tell(StageBegan("curve"))
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

    def _count_shots(self, arms: Mapping[Arm, Variant]) -> dict[int, Variant]:
        """The few-shot prompt with the first so many of its examples."""
        shot = arms.get("few-shot")
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


def _identify(case: Case) -> tuple[object, ...]:
    return (*sorted(case.variables.items()), case.expected)


def _read_score(summary: Summary, variant: str, metric: str) -> Estimate:
    return summary.variant(variant).scores.get(metric, Estimate(math.nan, math.nan, math.nan, 0))


def _sound(entry: Entry) -> Entry:
    if entry.manifest is None:
        raise TrainingError(entry.problem, "Name another adapter.")
    return entry


def _name_adapters(variant: Variant) -> str:
    return " + ".join(Path(choice.adapter).name for choice in variant.adapters if choice.on)
