"""Effects: what each few-shot example is worth, by leaving it out: its change in score, and its tokens.

Knows nothing of running (run.py): it names the variants that must run, and reads what came of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from workbench.errors import BenchError, StoreError
from workbench.evaluation.bench import Variant
from workbench.evaluation.launch import enabled_examples
from workbench.evaluation.measurements import read_costs, read_table
from workbench.evaluation.provenance import Provenance
from workbench.evaluation.statistics.paired import contrast
from workbench.evaluation.summarizing import estimate
from workbench.evaluation.summary import Estimate
from workbench.evaluation.view import Metric, RunView
from workbench.prompting.prompt import Prompt

Worth = Literal["helps", "hurts", "not distinguishable"]
_WORTH: dict[str, Worth] = {"better": "helps", "worse": "hurts", "not distinguishable": "not distinguishable"}


class ExampleEffect(msgspec.Struct, frozen=True):
    """What one example does for a variant that has all of them.

    change: the score with it minus the score without it, with a 95% interval, or why there is none (unknown); worth
    follows p_adjusted, which is after Holm's correction over the examples. tokens: what it adds to a prompt on average.
    """

    example: str
    shown: str
    answer: str
    change: float
    low: float
    high: float
    p: float
    p_adjusted: float
    worth: Worth
    tokens: float
    n: int
    needed_cases: int | None = None
    unknown: str = ""


class ExampleEffects(msgspec.Struct, frozen=True):
    """value: of the variant with all its examples. effects: in the prompt's order."""

    run: str
    variant: str
    metric: Metric
    value: Estimate
    effects: tuple[ExampleEffect, ...]


def leave_one_out(variant: Variant, prompt: Prompt) -> tuple[Variant, ...]:
    """The variant itself, then one for each of its examples, without that one.

    Raises BenchError for a variant that shows no example.
    """
    shown = enabled_examples(variant, prompt)
    if not shown:
        raise BenchError(
            f"{variant.name} shows no example, so there is none to leave out.",
            "Choose a variant whose prompt has examples that are switched on.",
        )
    return (variant, *(_leave_out(variant, example.id) for example in shown))


def _leave_out(variant: Variant, example: str) -> Variant:
    name = f"{variant.name} without {example}"
    return msgspec.structs.replace(variant, name=name, examples_off=(*variant.examples_off, example))


def measure_effects(view: RunView, variant: str, metric: str = "") -> ExampleEffects:
    """What a run says of a variant's examples, by the first metric unless named.

    Raises StoreError when the run has no such variant or none that leaves an example out.
    """
    chosen = _choose_metric(view, metric)
    origin = _find_origin(view, variant)
    off = set(origin.variant.examples_off)
    without = {
        example.id: other.name
        for example in enabled_examples(origin.variant, origin.prompt)
        for other in view.bench.variants
        if _is_without(other, origin.variant, off | {example.id})
    }
    if not without:
        raise StoreError(f"Run {view.id} has no variant that leaves an example of {variant} out.", "Run them first.")
    return _measure(view, origin, without, chosen)


def _measure(view: RunView, origin: Provenance, without: dict[str, str], metric: Metric) -> ExampleEffects:
    table = read_table(view, metric.name)
    name = origin.variant.name
    costs = read_costs(view)
    place = view.variants.index(name)
    pairs = [(view.variants.index(other), place) for other in without.values()]
    contrasts = contrast(table.means, pairs, metric.binary, metric.lower_is_better, not metric.free)
    examples = {example.id: example for example in origin.prompt.examples}
    effects = tuple(
        ExampleEffect(
            example=example,
            shown=_preview(examples[example].variables.values()),
            answer=_preview([examples[example].answer]),
            change=one.difference,
            low=one.interval.low,
            high=one.interval.high,
            p=one.p,
            p_adjusted=one.p_adjusted,
            worth=_WORTH[one.verdict],
            tokens=costs[name].tokens_in - costs[other].tokens_in,
            n=one.n,
            needed_cases=one.needed_cases,
            unknown=one.unknown,
        )
        for (example, other), one in zip(without.items(), contrasts, strict=True)
    )
    return ExampleEffects(view.id, name, metric, estimate(table, metric)[place], effects)


def tell_effects(found: ExampleEffects) -> str:
    """Which examples earn their place, in a few sentences."""
    parts = []
    for worth, said in (("helps", "earn their place"), ("hurts", "do harm")):
        names = [one.example for one in found.effects if one.worth == worth]
        if names:
            verb = said if len(names) > 1 else {"earn their place": "earns its place", "do harm": "does harm"}[said]
            parts.append(f"{', '.join(names)} {verb} beyond chance.")
    unsure = [one for one in found.effects if one.worth == "not distinguishable"]
    if unsure:
        tokens = sum(one.tokens for one in unsure)
        what = "example" if len(unsure) == 1 else "examples"
        parts.append(
            f"Of {len(unsure)} {what} these cases cannot tell whether the score needs"
            f" {'it' if len(unsure) == 1 else 'them one by one'}; together they take {tokens:.0f} tokens a request."
        )
    return " ".join(parts)


def _is_without(other: Variant, variant: Variant, off: set[str]) -> bool:
    same = msgspec.structs.replace(other, name=variant.name, examples_off=variant.examples_off) == variant
    return same and set(other.examples_off) == off


def _choose_metric(view: RunView, wanted: str) -> Metric:
    for metric in view.metrics:
        if wanted in ("", metric.name):
            return metric
    known = ", ".join(metric.name for metric in view.metrics) or "none"
    raise StoreError(f"Run {view.id} has no metric {wanted!r}.", f"It has: {known}.")


def _find_origin(view: RunView, variant: str) -> Provenance:
    told = view.provenance(variant)
    if not told:
        raise StoreError(f"What {variant} came from was not found when run {view.id} began.", "Start a new run.")
    return Provenance.decode(told)


def _preview(texts: Iterable[str]) -> str:
    return " ".join(" ".join(texts).split())[:80]
