from __future__ import annotations

import json
import math

import msgspec
import pytest

from workbench.analysis.summary import Effect, Estimate, PairSummary, Summary, VariantSummary
from workbench.runs.cost import Price
from workbench.runs.matrix_rows import Metric
from workbench.training.manifest import DataTrace, Manifest
from workbench.training.recommendation import conclude
from workbench.training.search_record import SearchRecord
from workbench.training.verdict import CurvePair, CurvePoint, MakingCost, VerdictEvidence
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


RECORD = SearchRecord(
    "s1", 1.0, "demo", "plain", "q/searched", "d", "q/shots", "examples", "desk", candidates=9, calls=300, tokens=2000,
    seconds=30.0, money=0.5, metric="exact_match", dev=Estimate(0.91, 0.85, 0.95, 100),
    parent_dev=Estimate(0.7, 0.6, 0.8, 100), test=Estimate(0.84, 0.8, 0.9, 100),
    parent_test=Estimate(0.7, 0.6, 0.8, 100), p=0.01, opened=1, improved=True,
)  # fmt: skip


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


def evidence(against: str, both: str = "not distinguishable", **changes) -> VerdictEvidence:
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
    return VerdictEvidence(summary, ARMS, SHOWN, MADE, "test.jsonl", "validation", 3, **changes)


def test_a_better_adapter_is_recommended_with_its_evidence():
    verdict = conclude(evidence("better"))
    assert verdict.recommendation.choice == "adapter"
    assert "it beats the best prompt, shots" in verdict.recommendation.headline
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


def test_an_adapter_of_unknown_cost_that_is_as_good_and_shorter_leaves_it_open():
    found = msgspec.structs.replace(evidence("not distinguishable"), manifest=None, adapter="theirs")
    verdict = conclude(found)
    assert (verdict.recommendation.choice, verdict.break_even) == ("undecided", ())
    assert "300 tokens less with the adapter; what its training cost is unknown" in verdict.recommendation.headline
    assert "The adapter theirs" in verdict.recommendation.headline


def test_without_a_price_nothing_is_said_in_money():
    assert {one.basis for one in conclude(evidence("better")).break_even} == {"time", "tokens"}


def test_a_prompt_as_short_as_the_adapters_is_never_paid_back():
    conditions = {**ARMS, "best prompt": "plain"}
    found = evidence("better")
    verdict = conclude(VerdictEvidence(found.summary, conditions, SHOWN, MADE))
    assert [one.requests for one in verdict.break_even] == [None, None]
    assert "never pays" in " ".join(verdict.recommendation.evidence)


def search_evidence(optimized: str, both: str = "", adapter: str = "not distinguishable", **changes) -> VerdictEvidence:
    """optimized: the outcome of the optimized prompt against the best hand-written one."""
    found = evidence(adapter)
    summary = msgspec.structs.replace(
        found.summary,
        variants=(*found.summary.variants, variant("searched", 0.8, 150, 0.15, 1.5), variant("on it", 0.95, 150, 0.15)),
        pairs=(
            *found.summary.pairs,
            pair("shots", "searched", 0.1, optimized),
            pair("searched", "adapter", 0.1, adapter),
            pair("adapter", "on it", 0.05, both),
            pair("searched", "on it", 0.15, both),
            pair("shots", "on it", 0.25, "better"),
        ),
    )
    conditions = {**ARMS, "optimized prompt": "searched", "adapter, optimized prompt": "on it"}
    shown = {**SHOWN, "searched": ("q/searched", "desk", ""), "on it": ("q/searched", "desk", "mine")}
    values = {"search": RECORD, "searched": 0} | changes
    return msgspec.structs.replace(found, summary=summary, variants=conditions, shown=shown, **values)


def test_an_optimized_prompt_that_is_better_is_what_the_adapter_is_compared_with():
    verdict = conclude(search_evidence("better", adapter="worse"))
    assert verdict.recommendation.choice == "optimized prompt"
    assert verdict.recommendation.headline == "Use the optimized prompt q/searched: the adapter mine is worse."
    verdict = conclude(search_evidence("better", adapter="better"))
    assert "the adapter mine with the short prompt: it beats the optimized prompt q/searched" in (
        verdict.recommendation.headline
    )


def test_an_optimized_prompt_that_is_not_better_leaves_the_hand_written_one_standing():
    verdict = conclude(search_evidence("not distinguishable", adapter="worse"))
    assert verdict.recommendation.choice == "prompt"
    assert verdict.recommendation.headline == "Keep the prompt shots: the adapter mine is worse."


def test_the_adapter_on_the_optimized_prompt_is_recommended_where_it_beats_both():
    verdict = conclude(search_evidence("better", both="better", adapter="better"))
    assert verdict.recommendation.choice == "adapter, optimized prompt"
    assert "on the optimized prompt: each improves" in verdict.recommendation.headline


def test_what_each_took_to_make_is_set_against_what_a_request_saves():
    verdict = conclude(search_evidence("better", price=Price(hour=60.0)))
    made = {one.condition: one.made for one in verdict.conditions}
    assert made["best prompt"] is None
    assert made["optimized prompt"] == MakingCost("search", 30.0, 2000, 0.5)
    assert made["adapter, optimized prompt"] == MakingCost("search and training", 90.0, 3000, 1.5)
    even = {(one.condition, one.basis): one.requests for one in verdict.break_even}
    assert even["optimized prompt", "time"] == 200  # 30 s over 0.15 s a request
    assert even["optimized prompt", "tokens"] == 10  # 2,000 tokens over 200
    assert even["optimized prompt", "money"] == 334  # 0.5 over 0.0015
    assert even["adapter, optimized prompt", "tokens"] == 15
    told = " ".join(verdict.recommendation.evidence)
    assert "351 tokens with the best prompt, 151 with the optimized prompt and 51 with the adapter;" in told
    assert "chose the optimized prompt from 9 candidates by 0.91 on dev" in told
    assert "on its test part it has 0.84, its parent 0.70." in told
    assert "In tokens, the search (2,000 tokens) pays for itself after 10 requests." in told
    text = render_markdown(verdict)
    assert "Search: q/searched: 9 candidates, 300 calls, 2,000 tokens, 30.0 s, 0.5 in money." in text
    assert "by hand" in text


def test_a_verdict_on_an_optimized_prompt_needs_no_adapter():
    found = search_evidence("better")
    conditions = {name: held for name, held in found.variants.items() if not name.startswith("adapter")}
    alone = msgspec.structs.replace(found, variants=conditions, manifest=None, adapter="")
    verdict = conclude(alone)
    assert verdict.recommendation.choice == "optimized prompt"
    assert verdict.recommendation.headline == (
        "Use the optimized prompt q/searched: it beats the best hand-written prompt, shots."
    )
    told = " ".join((*verdict.recommendation.evidence, *verdict.recommendation.caveats))
    assert "adapter" not in told
    assert "Training:" not in render_markdown(verdict)
    assert "Search:" in render_html(verdict)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"searched": 12}, "The search used 12 of the 200 test cases, which favors"),
        ({}, "a second look at them, not a confirmation"),
        ({"searched": None}, "Which cases the search used is unknown"),
        ({"edited": True}, "was edited after its search"),
        ({"search": None}, "what it cost and which cases it used are unknown"),
    ],
)
def test_what_speaks_against_an_optimized_prompt_is_told(changes, told):
    assert told in " ".join(conclude(search_evidence("better", **changes)).recommendation.caveats)


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
        "beats few-shot prompting from 100 training rows on: 0.90 on the 100 cases of the validation split,"
        " against 0.70 with 8 shots, the best number of shots (p = 0.004, paired by case and corrected for 6"
        " comparisons)."
    ) in told


def test_rows_above_the_shots_interval_are_not_enough_where_the_paired_test_does_not_tell():
    curve = (
        CurvePoint("rows", 100, Estimate(0.9, 0.85, 0.95, 100)),
        CurvePoint("shots", 8, Estimate(0.7, 0.6, 0.8, 100)),
    )
    pairs = (CurvePair(100, 8, 100, 0.2, "not distinguishable", 1),)
    told = " ".join(conclude(evidence("better", curve=curve, curve_pairs=pairs)).recommendation.evidence)
    assert "No adapter on the learning curve is significantly better than 8 shots" in told
    assert "validation split" in told


def test_few_cases_and_a_prompt_chosen_on_the_test_split_are_held_against_it():
    found = evidence("better")
    small = Summary(**{name: getattr(found.summary, name) for name in Summary.__struct_fields__} | {"cases": 20})
    told = " ".join(conclude(VerdictEvidence(small, ARMS, SHOWN, MADE, "t", "test", 3)).recommendation.caveats)
    assert "only 20 cases" in told
    assert "favors" in told


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
    verdict = conclude(VerdictEvidence(summary, ARMS, SHOWN, MADE))
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
    page = render_html(conclude(VerdictEvidence(hostile, ARMS, SHOWN, MADE)))
    assert "<script>" not in page
    text = render_markdown(verdict)
    assert all(f"| {condition}" in text for condition in ARMS)
    held = json.loads(render_json(verdict))
    assert held["recommendation"]["choice"] == "adapter"
    assert len(held["conditions"]) == 5


def test_a_prompt_that_retrieves_is_named_so():
    found = evidence("better")
    name = found.variants["best prompt"]
    shown = {**found.shown, name: ("queues/few-shot with retrieval (bm25 k=3)", "desk", "")}
    told = conclude(msgspec.structs.replace(found, shown=shown)).recommendation.headline
    assert f"it beats the best prompt with retrieval, {name}" in told
    kept = msgspec.structs.replace(evidence("worse"), shown=shown)
    assert f"the prompt {name} with retrieval" in conclude(kept).recommendation.headline
