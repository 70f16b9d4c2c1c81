"""What a bench asks its variants to reach, held against what they did."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from workbench.analysis.summary import Summary, VariantSummary
from workbench.errors import BenchError
from workbench.runs.bench import Bench, list_thresholds

_SPEEDS = ("latency_p50", "latency_p95", "tokens_per_second")
"""0 where no answer was new, so that nothing was measured"""
_FIGURES = ("failed", "latency_p50", "latency_p95", "tokens_in", "tokens_out", "tokens_per_second", "cost_per_thousand")


class MissedThreshold(NamedTuple):
    """A threshold that was not reached. value: NaN where there was nothing to measure.

    measured: False for a speed of answers that all came from the cache: that says nothing, so it fails nothing.
    """

    metric: str
    variant: str
    value: float
    wanted: str
    measured: bool = True

    def __str__(self) -> str:
        if not self.measured:
            return f"{self.metric} of {self.variant}: expected {self.wanted}, not measured: every answer was cached"
        found = "nothing to measure" if math.isnan(self.value) else f"{self.value:.4g}"
        return f"{self.metric} of {self.variant}: expected {self.wanted}, found {found}"


def find_misses(bench: Bench, summary: Summary) -> list[MissedThreshold]:
    """Every threshold that a variant misses, or that could not be measured.

    Raises BenchError for a threshold on something that is no metric of this run.
    """
    return list(_find(bench, summary))


def _find(bench: Bench, summary: Summary) -> Iterator[MissedThreshold]:
    for metric, threshold in list_thresholds(bench):
        for variant in summary.variants:
            if threshold.variant not in ("", variant.name):
                continue
            value = _read(variant, metric)
            measured = metric not in _SPEEDS or not variant.cached or variant.cached < variant.n - variant.failed
            if threshold.min is not None and not value >= threshold.min:
                yield MissedThreshold(metric, variant.name, value, f"at least {threshold.min:g}", measured)
            if threshold.max is not None and not value <= threshold.max:
                yield MissedThreshold(metric, variant.name, value, f"at most {threshold.max:g}", measured)


def _read(variant: VariantSummary, metric: str) -> float:
    if metric in variant.scores:
        return variant.scores[metric].value
    if metric in variant.dataset_scores:
        return variant.dataset_scores[metric]
    if any(metric.startswith(f"{key}.") for key in variant.problems):
        return math.nan  # it has no value, and the summary says why
    if metric in _FIGURES:
        value = float(getattr(variant, metric))
        return math.nan if value == 0 and metric in _SPEEDS else value
    known = ", ".join((*variant.scores, *variant.dataset_scores, *_FIGURES))
    raise BenchError(f"thresholds: nothing is called {metric!r} in this run.", f"There are: {known}.")
