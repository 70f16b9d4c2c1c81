from __future__ import annotations

import math
from statistics import fmean, stdev

import pytest

from workbench.analysis.prompt_sensitivity import compute_sensitivities, compute_sensitivity
from workbench.analysis.summary import Estimate
from workbench.runs.bench import Perturbation, Variant
from workbench.runs.matrix_rows import Metric

VALUES = {"plain": 0.5, "plain ~ casing 1": 0.2, "plain ~ casing 2": 0.6, "plain ~ order 1": math.nan}


def test_a_spread_is_over_all_wordings_that_have_a_score():
    spread = compute_sensitivity("plain", "exact_match", VALUES)
    known = [0.5, 0.2, 0.6]
    assert (spread.written, spread.wordings, spread.low, spread.high) == (0.5, 3, 0.2, 0.6)
    assert spread.mean == pytest.approx(fmean(known))
    assert spread.deviation == pytest.approx(stdev(known))
    assert spread.worst == "casing 1"


def test_the_worst_wording_follows_what_is_better():
    assert compute_sensitivity("plain", "latency", VALUES, lower_is_better=True).worst == "casing 2"
    assert compute_sensitivity("plain", "exact_match", {"plain": 0.1, "plain ~ casing 1": 0.4}).worst == "as written"


def test_a_spread_without_scores_tells_nothing():
    spread = compute_sensitivity("plain", "exact_match", {"plain": math.nan})
    assert spread.wordings == 0
    assert math.isnan(spread.mean)
    assert math.isnan(compute_sensitivity("plain", "exact_match", {"plain": 0.5}).deviation)


def test_only_variants_with_alternates_have_a_spread():
    variants = (
        Variant("plain", "p", "m"),
        Variant("described", "p", "m"),
        Variant("plain ~ casing 1", "p", "m", perturbation=Perturbation("plain", "casing")),
    )
    estimates = {"exact_match": [Estimate(value, value, value, 9) for value in (0.5, 0.9, 0.3)]}
    (spread,) = compute_sensitivities(variants, [Metric("exact_match")], estimates)
    assert (spread.variant, spread.written, spread.low) == ("plain", 0.5, 0.3)
