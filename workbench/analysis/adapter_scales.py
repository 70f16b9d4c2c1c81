"""How a variant's score follows the strength of its adapter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import msgspec
import numpy as np

from workbench.analysis.measurements import MetricTable
from workbench.analysis.narrative import count_digits, format_interval, format_value, name_metric
from workbench.analysis.summary import Estimate, Outcome, swap_outcome
from workbench.analysis.variant_family import VariantFamily, find_family
from workbench.errors import BenchError
from workbench.runs.bench import Variant
from workbench.runs.matrix_rows import Metric
from workbench.runs.view import RunView

SCALES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)


class ScalePoint(msgspec.Struct, frozen=True):
    """One strength. value: with an interval that holds for all strengths at once. verdict: of this one against the best
    one, after Holm's correction over every two strengths, since the best one was found among them."""

    scale: float
    variant: str
    value: Estimate
    verdict: Outcome | None = None


class ScaleCurve(msgspec.Struct, frozen=True):
    """points: from weak to strong. best: the scale with the best value, the weakest of equals.

    chosen: the value to expect of a scale that is chosen so, without the luck of the choice: chosen on one half of the
    cases and measured on the other, both ways round; NaN where the halves are empty.
    """

    run: str
    variant: str
    adapter: str
    metric: Metric
    points: tuple[ScalePoint, ...]
    best: float
    chosen: float = math.nan


def scale_variants(variant: Variant, scales: Sequence[float] = SCALES, adapter: str = "") -> tuple[Variant, ...]:
    """A variant for each scale of one of its adapters, the first that is on unless named.

    Raises BenchError for a variant without such an adapter, or scales that are no numbers from 0.
    """
    wrong = [scale for scale in scales if not math.isfinite(scale) or scale < 0]
    if wrong or not scales:
        raise BenchError(f"Scales are numbers from 0, found {wrong[0] if wrong else 'none'}.", "Such as 0,0.5,1,1.5.")
    index = _find_adapter(variant, adapter)
    return tuple(_set_scale(variant, index, scale) for scale in sorted(set(scales)))


def _find_adapter(variant: Variant, wanted: str) -> int:
    for index, choice in enumerate(variant.adapters):
        if (choice.on and not wanted) or choice.adapter == wanted:
            return index
    named = f"the adapter {wanted!r}" if wanted else "an adapter that is on"
    known = ", ".join(choice.adapter for choice in variant.adapters) or "none"
    raise BenchError(f"{variant.name} does not have {named}.", f"It has: {known}.")


def _set_scale(variant: Variant, index: int, scale: float) -> Variant:
    adapters = list(variant.adapters)
    adapters[index] = msgspec.structs.replace(adapters[index], scale=scale, on=True)
    return msgspec.structs.replace(variant, name=f"{variant.name} × {scale:g}", adapters=tuple(adapters))


def measure_scale(view: RunView, variant: Variant, metric: str = "", adapter: str = "") -> ScaleCurve:
    """What a run says of the scales of a variant's adapter, by the first metric unless named.

    Raises StoreError when the run has no such variants or metric.
    """
    index = _find_adapter(variant, adapter)
    family = find_family(view, metric, lambda one: _find_scale(one, variant, index), f"no scales of {variant.name}")
    values = dict(sorted(family.estimate(simultaneous=True).items()))
    best = _find_best(values, family.metric)
    verdicts = compare_with_best(family, best)
    points = (ScalePoint(scale, family.members[scale], value, verdicts.get(scale)) for scale, value in values.items())
    expected = _choose_by_halves(family.table, family.metric, [family.columns[scale] for scale in values])
    name = variant.adapters[index].adapter
    return ScaleCurve(view.id, variant.name, name, family.metric, tuple(points), best, expected)


def compare_with_best(family: VariantFamily[float], best: float) -> dict[float, Outcome]:
    """How each other scale stands against the best one, corrected over every two of them: any might have been the
    best."""
    pairs = list(combinations(family.columns, 2))
    verdicts: dict[float, Outcome] = {}
    for (a, b), one in zip(pairs, family.compare(pairs), strict=True):
        if best == a:
            verdicts[b] = one.verdict
        elif best == b:
            verdicts[a] = swap_outcome(one.verdict)
    return verdicts


def _choose_by_halves(table: MetricTable, metric: Metric, columns: Sequence[int]) -> float:
    """The mean over both halves of the cases of what the other half's best scale reaches there."""
    means = table.means[:, columns]
    means = means[~np.isnan(means).any(axis=1)]
    if len(means) < 2:
        return math.nan
    half = np.random.default_rng(0).permutation(len(means)) % 2 == 0
    sign = -1 if metric.lower_is_better else 1
    sides = [
        (means[half].mean(axis=0), means[~half].mean(axis=0)),
        (means[~half].mean(axis=0), means[half].mean(axis=0)),
    ]
    return float(np.mean([other[int(np.argmax(sign * own))] for own, other in sides]))


def _find_scale(one: Variant, variant: Variant, index: int) -> float | None:
    """The scale of the adapter, where a variant differs from the other in that alone."""
    if len(one.adapters) != len(variant.adapters):
        return None
    adapters = list(variant.adapters)
    scale = one.adapters[index].scale
    adapters[index] = msgspec.structs.replace(adapters[index], scale=scale, on=True)
    return scale if one == msgspec.structs.replace(variant, name=one.name, adapters=tuple(adapters)) else None


def _find_best(values: dict[float, Estimate], metric: Metric) -> float:
    sign = -1 if metric.lower_is_better else 1
    known = {scale: one.value for scale, one in values.items() if not math.isnan(one.value)}
    return max(known, key=lambda scale: (sign * known[scale], -scale)) if known else next(iter(values))


def describe_scales(curve: ScaleCurve) -> str:
    """Where the best point lies, and which others do as well, in a sentence or two."""
    best = next(point for point in curve.points if point.scale == curve.best)
    if math.isnan(best.value.value):
        return "Nothing has been scored yet, so there is nothing to say."
    digits = count_digits(curve.metric, best.value.n, best.value.value)
    value = format_value(best.value.value, curve.metric, best.value.n)
    interval = (
        f" (95% interval {format_interval(best.value, digits, ' to ')}, for all {len(curve.points)} scales at once)"
    )
    if math.isnan(best.value.low):
        interval = f" (no interval: {best.value.unknown})" if best.value.unknown else ""
    sentence = f"{curve.adapter} does best at scale {best.scale:g}: {name_metric(curve.metric.name)} {value}{interval}."
    if len(curve.points) > 1 and not math.isnan(curve.chosen):
        expected = format_value(curve.chosen, curve.metric, best.value.n)
        sentence += f" Chosen on one half of the cases and measured on the other, the best scale reaches {expected}."
    alike = [f"{point.scale:g}" for point in curve.points if point.verdict == "not distinguishable"]
    if not alike:
        return f"{sentence} Every other scale is worse beyond chance."
    return f"{sentence} Not distinguishable from it: {', '.join(alike)}."
