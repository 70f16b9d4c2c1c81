from __future__ import annotations

import json
import math

import msgspec
import pytest

from workbench.evaluation.cost import Price
from workbench.evaluation.summary import Effect, Estimate, PairSummary, Summary, VariantSummary
from workbench.evaluation.view import Metric
from workbench.training.conclusion import conclude
from workbench.training.evidence import Evidence
from workbench.training.manifest import DataTrace, Manifest
from workbench.training.verdict import CurvePair, CurvePoint
from workbench.training.verdict_report import render_html, render_json, render_markdown

METRIC = Metric("exact_match", binary=True, main=True)
ARMS = {
    "zero-shot": "plain",
    "few-shot": "shots",
    "best prompt": "shots",
    "adapter": "adapter",
    "adapter, few-shot": "both",
}
SHOWN = {"plain": ("q/plain", "desk", ""), "shots": ("q/shots", "desk", "")} | {
    "adapter": ("q/plain", "desk", "mine"),
    "both": ("q/shots", "desk", "mine"),
}
MADE = Manifest(
    "mine",
    1,
    1.0,
    "lora",
    "/desk",
    "abcdef123456",
    "",
    data=(DataTrace("train", "t", "d", 400),),
    tokens=1000,
    seconds=60,
)


def variant(name: str, value: float, tokens: float, seconds: float, cost: float = math.nan) -> VariantSummary:
    score = Estimate(value, value - 0.05, value + 0.05, 200)
    return VariantSummary(
        name,
        n=200,
        scores={"exact_match": score},
        latency_p50=seconds,
        latency_p95=seconds * 2,
        tokens_in=tokens,
        tokens_out=1,
        cost_per_thousand=cost,
    )


def pair(a: str, b: str, difference: float, verdict: str) -> PairSummary:
    low, high = difference - 0.05, difference + 0.05
    return PairSummary(
        a,
        b,
        "exact_match",
        200,
        difference,
        low,
        high,
        0.01,
        0.02,
        Effect("h", 0.5),
        "mcnemar",
        verdict,  # type: ignore[arg-type]
    )


def evidence(against: str, both: str = "not distinguishable", **changes) -> Evidence:
    summary = Summary(
        run="r1",
        bench="demo",
        cases=200,
        metrics=(METRIC,),
        variants=(
            variant("plain", 0.2, 50, 0.1, 1.0),
            variant("shots", 0.7, 350, 0.3, 3.0),
            variant("adapter", 0.9, 50, 0.1, 1.0),
            variant("both", 0.9, 350, 0.3, 3.0),
        ),
        pairs=(
            pair("shots", "adapter", 0.2, against),
            pair("adapter", "both", 0.0, both),
            pair("shots", "both", 0.2, both),
            pair("plain", "shots", 0.5, "better"),
        ),
    )
    return Evidence(summary, ARMS, SHOWN, MADE, "test.jsonl", "validation", 3, **changes)


def test_a_better_adapter_is_recommended_with_its_evidence():
    verdict = conclude(evidence("better"))
    assert verdict.recommendation.choice == "adapter"
    assert "better than the best prompt, shots" in verdict.recommendation.headline
    told = " ".join(verdict.recommendation.evidence)
    assert "Adapter is better than" in told
    assert "takes 351 tokens with the best prompt and 51 with the adapter" in told


def test_a_worse_adapter_is_not():
    assert conclude(evidence("worse")).recommendation.choice == "prompt"


def test_both_together_are_recommended_only_where_each_adds_something():
    assert conclude(evidence("better", "better")).recommendation.choice == "adapter, few-shot"
    assert conclude(evidence("better", "not distinguishable")).recommendation.choice == "adapter"


def test_where_quality_is_the_same_the_number_of_requests_decides():
    verdict = conclude(evidence("not distinguishable"))
    assert verdict.recommendation.choice == "undecided"
    assert "300 requests" in verdict.recommendation.headline


def test_break_even_is_what_training_took_over_what_a_request_saves():
    verdict = conclude(evidence("better", price=Price(hour=60.0)))
    assert verdict.training.money == pytest.approx(1.0)
    assert {one.basis: one.requests for one in verdict.break_even} == {"money": 500, "time": 300, "tokens": 4}


def test_without_a_price_nothing_is_said_in_money():
    assert {one.basis for one in conclude(evidence("better")).break_even} == {"time", "tokens"}


def test_a_prompt_as_short_as_the_adapters_is_never_paid_back():
    arms = {**ARMS, "best prompt": "plain"}
    found = evidence("better")
    verdict = conclude(Evidence(found.summary, arms, SHOWN, MADE))
    assert [one.requests for one in verdict.break_even] == [None, None]
    assert "never pays" in " ".join(verdict.recommendation.evidence)


def test_the_curve_says_when_prompting_stops_being_enough():
    curve = (
        CurvePoint("rows", 10, Estimate(0.4, 0.3, 0.5, 100)),
        CurvePoint("rows", 100, Estimate(0.9, 0.85, 0.95, 100)),
        CurvePoint("shots", 0, Estimate(0.2, 0.1, 0.3, 100)),
        CurvePoint("shots", 8, Estimate(0.7, 0.6, 0.8, 100)),
    )
    pairs = (
        CurvePair(10, 8, 100, 0.9, "worse", 6),
        CurvePair(100, 0, 100, 0.0001, "better", 6),
        CurvePair(100, 8, 100, 0.0042, "better", 6),
    )
    told = " ".join(conclude(evidence("better", curve=curve, curve_pairs=pairs)).recommendation.evidence)
    assert (
        "stops being enough at 100 training rows: 0.90 on the 100 cases of the validation split, against 0.70 with 8"
        " shots, the best number of them (p = 0.004, paired by case and corrected for 6 comparisons)."
    ) in told


def test_rows_above_the_shots_interval_are_not_enough_where_the_paired_test_does_not_tell():
    curve = (
        CurvePoint("rows", 100, Estimate(0.9, 0.85, 0.95, 100)),
        CurvePoint("shots", 8, Estimate(0.7, 0.6, 0.8, 100)),
    )
    pairs = (CurvePair(100, 8, 100, 0.2, "not distinguishable", 1),)
    told = " ".join(conclude(evidence("better", curve=curve, curve_pairs=pairs)).recommendation.evidence)
    assert "No number of rows that was tried is better beyond chance than 8 shots" in told
    assert "validation split" in told


def test_few_cases_and_a_prompt_chosen_on_the_test_split_are_held_against_it():
    found = evidence("better")
    small = Summary(**{name: getattr(found.summary, name) for name in Summary.__struct_fields__} | {"cases": 20})
    told = " ".join(conclude(Evidence(small, ARMS, SHOWN, MADE, "t", "test", 3)).recommendation.caveats)
    assert "only 20 cases" in told
    assert "flatters" in told


def test_reports_hold_the_scores_that_do_not_decide_as_well():
    found = evidence("better")
    further = Metric("token_f1")
    summary = msgspec.structs.replace(
        found.summary,
        metrics=(METRIC, further),
        variants=tuple(
            msgspec.structs.replace(one, scores={**one.scores, "token_f1": Estimate(0.4321, 0.4, 0.5, 200)})
            for one in found.summary.variants
        ),
    )
    verdict = conclude(Evidence(summary, ARMS, SHOWN, MADE))
    assert verdict.metric == METRIC
    assert "| further scores | token f1 |" in render_markdown(verdict)
    assert "token f1" in render_html(verdict)
    pair = verdict.pair("adapter", "best prompt")
    assert pair is not None
    assert (pair.verdict, pair.difference) == ("worse", -0.2)


def test_reports_hold_every_arm_and_no_foreign_markup():
    verdict = conclude(evidence("better"))
    hostile = Summary(
        **{name: getattr(evidence("better").summary, name) for name in Summary.__struct_fields__}
        | {"bench": "<script>alert(1)</script>"}
    )
    page = render_html(conclude(Evidence(hostile, ARMS, SHOWN, MADE)))
    assert "<script>" not in page
    text = render_markdown(verdict)
    assert all(f"| {arm}" in text for arm in ARMS)
    held = json.loads(render_json(verdict))
    assert held["recommendation"]["choice"] == "adapter"
    assert len(held["arms"]) == 5
