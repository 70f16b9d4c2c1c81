"""How far a variant's score hangs on the exact wording of its prompt, from its score under each wording."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from workbench.analysis.summary import Estimate, PromptSensitivity
from workbench.runs.bench import Variant
from workbench.runs.matrix_rows import Metric


def compute_sensitivities(
    variants: Sequence[Variant], metrics: Sequence[Metric], estimates: Mapping[str, Sequence[Estimate]]
) -> tuple[PromptSensitivity, ...]:
    """A spread for each variant that has alternates, by each metric.

    estimates: metric -> one for each of the variants, in their order.
    """
    spreads = []
    for metric in metrics:
        values = {one.name: found.value for one, found in zip(variants, estimates[metric.name], strict=True)}
        for variant in variants:
            own = {one.name: values[one.name] for one in variants if _belongs(one, variant)}
            if len(own) > 1:
                spreads.append(compute_sensitivity(variant.name, metric.name, own, metric.lower_is_better))
    return tuple(spreads)


def compute_sensitivity(
    variant: str, metric: str, values: Mapping[str, float], lower_is_better: bool = False
) -> PromptSensitivity:
    """The spread of a variant over all wordings, the written one among them.

    values: mean score by the wording's name, the variant's own for the written one; those without a score (NaN) are
    left out. deviation: of a sample, NaN for less than two.
    """
    known = {name: value for name, value in values.items() if not math.isnan(value)}
    if not known:
        return PromptSensitivity(variant, metric, math.nan, 0, math.nan, math.nan, math.nan, math.nan, "")
    worst = (max if lower_is_better else min)(known, key=lambda name: known[name])
    return PromptSensitivity(
        variant=variant,
        metric=metric,
        written=known.get(variant, math.nan),
        wordings=len(known),
        mean=fmean(known.values()),
        low=min(known.values()),
        high=max(known.values()),
        deviation=stdev(known.values()) if len(known) > 1 else math.nan,
        worst=worst.removeprefix(f"{variant} ~ ") if worst != variant else "as written",
    )


def _belongs(one: Variant, variant: Variant) -> bool:
    if one.name == variant.name:
        return variant.perturbation is None
    return one.perturbation is not None and one.perturbation.of == variant.name
