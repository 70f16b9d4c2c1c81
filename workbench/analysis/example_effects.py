"""What each few-shot example is worth, by leaving it out: its change in score, and its tokens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from workbench.analysis.measurements import read_costs
from workbench.analysis.summary import Estimate
from workbench.analysis.variant_family import find_family
from workbench.errors import BenchError, StoreError
from workbench.prompting.prompt import Example, Prompt
from workbench.runs.bench import Variant
from workbench.runs.generation import enabled_examples
from workbench.runs.matrix_rows import Metric
from workbench.runs.provenance import Provenance
from workbench.runs.view import RunView
from workbench.statistics.paired import PairedComparison

Worth = Literal["helps", "hurts", "not distinguishable"]
_WHOLE = ""
"""the key of the variant that has all its examples"""

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
    origin = view.origin(variant)
    family = find_family(view, metric, lambda one: _find_left_out(one, origin), f"no variant {variant}")
    left_out = [example for example in origin.prompt.examples if example.id in family.members]
    if not left_out:
        raise StoreError(f"Run {view.id} has no variant that leaves an example of {variant} out.", "Run them first.")
    costs = read_costs(view)
    compared = family.compare([(one.id, _WHOLE) for one in left_out])
    effects = tuple(
        make_effect(example, one, costs[variant].tokens_in - costs[family.members[example.id]].tokens_in)
        for example, one in zip(left_out, compared, strict=True)
    )
    return ExampleEffects(view.id, variant, family.metric, family.estimate()[_WHOLE], effects)


def make_effect(example: Example, found: PairedComparison, tokens: float) -> ExampleEffect:
    """What an example does, by the variant that has it compared with the one that lacks it."""
    return ExampleEffect(
        example=example.id,
        shown=_preview(example.variables.values()),
        answer=_preview([example.answer]),
        change=found.difference,
        low=found.interval.low,
        high=found.interval.high,
        p=found.p,
        p_adjusted=found.p_adjusted,
        worth=_WORTH[found.verdict],
        tokens=tokens,
        n=found.n,
        needed_cases=found.needed_cases,
        unknown=found.unknown,
    )


def describe_effects(found: ExampleEffects) -> str:
    """Which examples earn their place, in a few sentences."""
    parts = []
    for worth, phrase in (("helps", "earn their place"), ("hurts", "do harm")):
        names = [one.example for one in found.effects if one.worth == worth]
        if names:
            verb = phrase if len(names) > 1 else {"earn their place": "earns its place", "do harm": "does harm"}[phrase]
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


def _find_left_out(one: Variant, origin: Provenance) -> str | None:
    """The example that a variant lacks of those that the origin shows, "" for all of them; None for another variant."""
    whole = origin.variant
    if msgspec.structs.replace(one, name=whole.name, examples_off=whole.examples_off) != whole:
        return None
    lacking = set(one.examples_off) - set(whole.examples_off)
    shown = {example.id for example in enabled_examples(whole, origin.prompt)}
    if not set(whole.examples_off) <= set(one.examples_off) or len(lacking) > 1 or not lacking <= shown:
        return None
    return next(iter(lacking), _WHOLE)


def _preview(texts: Iterable[str]) -> str:
    return " ".join(" ".join(texts).split())[:80]
