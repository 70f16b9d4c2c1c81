from __future__ import annotations

import math

import msgspec
import pytest

from workbench.analysis.summary import Estimate, Summary, VariantSummary
from workbench.analysis.thresholds import find_misses
from workbench.errors import BenchError
from workbench.runs.bench import Bench, Threshold, Variant, rename_thresholds, with_variants


def one(name: str, value: float, **fields) -> VariantSummary:
    return VariantSummary(name, scores={"exact_match": Estimate(value, 0.0, 1.0, 10)}, **fields)


def misses(thresholds, *variants: VariantSummary) -> list[str]:
    bench = Bench(tuple(Variant(each.name, "p", "m") for each in variants), thresholds=thresholds)
    return [str(miss) for miss in find_misses(bench, Summary(variants=variants))]


def test_a_threshold_is_asked_of_every_variant_or_of_one():
    variants = one("A", 0.5), one("B", 0.9)
    assert misses({"exact_match": Threshold(min=0.9)}, *variants) == [
        "exact_match of A: expected at least 0.9, found 0.5"
    ]
    assert misses({"exact_match": Threshold(min=0.9, variant="B")}, *variants) == []
    both = (Threshold(max=0.4), Threshold(min=0.95, variant="B"))
    assert len(misses({"exact_match": both}, *variants)) == 3


def test_values_of_the_whole_dataset_and_figures_have_thresholds_too():
    variant = one("A", 0.5, dataset_scores={"macro_f1": 0.2}, latency_p95=3.0, failed=2)
    wanted = {"macro_f1": Threshold(min=0.3), "latency_p95": Threshold(max=1.0), "failed": Threshold(max=2)}
    assert misses(wanted, variant) == [
        "macro_f1 of A: expected at least 0.3, found 0.2",
        "latency_p95 of A: expected at most 1, found 3",
    ]


def test_what_could_not_be_measured_misses():
    assert misses({"exact_match": Threshold(min=0.1)}, one("A", math.nan)) == [
        "exact_match of A: expected at least 0.1, found nothing to measure"
    ]


def test_a_threshold_on_something_unknown_is_told_with_what_there_is():
    with pytest.raises(BenchError, match="'bleu'") as caught:
        misses({"bleu": Threshold(min=0.1)}, one("A", 0.5))
    assert "exact_match" in caught.value.hint


def test_a_latency_that_nobody_measured_misses():
    assert misses({"latency_p95": Threshold(max=1.0)}, one("A", 0.5)) == [
        "latency_p95 of A: expected at most 1, found nothing to measure"
    ]


def test_a_latency_of_cached_answers_is_not_measured_and_fails_nothing():
    bench = Bench((Variant("A", "p", "m"),), thresholds={"latency_p95": Threshold(max=1.0)})
    (miss,) = find_misses(bench, Summary(variants=(one("A", 0.5, n=10, cached=9, failed=1),)))
    assert not miss.measured
    assert str(miss) == "latency_p95 of A: expected at most 1, not measured: every answer was cached"


def test_variants_are_left_out_together_with_their_thresholds():
    a, b = Variant("A", "p", "m"), Variant("B", "p", "m")
    mine, every = Threshold(min=0.9, variant="B"), Threshold(max=2.0)
    bench = Bench((a, b), thresholds={"exact_match": mine, "failed": (mine, every)})
    assert with_variants(bench, [a]).thresholds == {"failed": every}
    assert with_variants(bench, [a, b]) == bench
    renamed = msgspec.structs.replace(mine, variant="C")
    assert rename_thresholds(bench, "B", "C") == {"exact_match": renamed, "failed": (renamed, every)}
    assert rename_thresholds(bench, "A", "C") == bench.thresholds
