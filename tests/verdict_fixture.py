"""A verdict of fixed numbers: nothing of it is measured."""

from __future__ import annotations

from workbench.analysis.summary import Effect, Estimate, PairSummary
from workbench.runs.matrix_rows import Metric
from workbench.training.search_record import SearchRecord
from workbench.training.verdict import (
    BreakEven,
    Condition,
    ConditionResult,
    CurvePoint,
    MakingCost,
    Recommendation,
    TrainingCost,
    Verdict,
)

METRIC = Metric("exact_match", binary=True, main=True)


MADE: dict[Condition, MakingCost] = {
    "optimized prompt": MakingCost("search", 150.0, 240_000, 0.05),
    "adapter": MakingCost("training", 74.0, 68_000, 0.02467),
    "adapter, few-shot": MakingCost("training", 74.0, 68_000, 0.02467),
    "adapter, optimized prompt": MakingCost("search and training", 224.0, 308_000, 0.07467),
}


def near(value: float) -> Estimate:
    return Estimate(value, max(0.0, value - 0.06), min(1.0, value + 0.04), 200)


def stand(condition: Condition, value: float, tokens: float, seconds: float, adapter: str = "") -> ConditionResult:
    name = {"zero-shot": "plain", "best prompt": "shots"}.get(condition, condition)
    prompt = (
        "queues/few-shot-better" if "optimized" in name else "queues/few-shot" if "shot" in name else "queues/plain"
    )
    scores = {"exact_match": near(value)}
    return ConditionResult(
        condition,
        name,
        prompt,
        "desk",
        adapter,
        scores,
        tokens,
        2.0,
        seconds,
        seconds * 1.6,
        tokens / 400,
        200,
        made=MADE.get(condition),
    )


def pair(a: str, b: str, difference: float) -> PairSummary:
    verdict = "better" if difference > 0.05 else "worse" if difference < -0.05 else "not distinguishable"
    return PairSummary(
        a, b, "exact_match", 200, difference, difference - 0.05, difference + 0.05, 0.01, 0.01, Effect("h", 0.5),
        "mcnemar", verdict,  # type: ignore[arg-type]
    )  # fmt: skip


VERDICT = Verdict(
    bench="demo",
    run="1if3tc",
    dataset="data/queues/test.jsonl",
    metric=METRIC,
    cases=200,
    conditions=(
        stand("zero-shot", 0.13, 61, 0.009),
        stand("best prompt", 0.78, 238, 0.021),
        stand("optimized prompt", 0.86, 160, 0.016),
        stand("adapter", 0.97, 61, 0.009, "queues-lora"),
        stand("adapter, few-shot", 0.98, 238, 0.021, "queues-lora"),
        stand("adapter, optimized prompt", 0.98, 160, 0.016, "queues-lora"),
    ),
    pairs=(
        pair("shots", "plain", -0.65),
        pair("shots", "optimized prompt", 0.08),
        pair("shots", "adapter", 0.19),
        pair("shots", "adapter, few-shot", 0.2),
        pair("shots", "adapter, optimized prompt", 0.2),
    ),
    training=TrainingCost("queues-lora", 74.0, 68_000, 400, 0.02467),
    break_even=(
        BreakEven("money", 0.05, 0.0002, 256, "optimized prompt"),
        BreakEven("tokens", 240_000.0, 78.0, 3077, "optimized prompt"),
        BreakEven("money", 0.02467, 0.0001, 247),
        BreakEven("tokens", 68_000.0, 177.0, 385),
    ),
    recommendation=Recommendation(
        "adapter",
        "Use the adapter queues-lora with the short prompt: it is better than the best prompt, shots.",
        (
            "Adapter is better than best prompt (shots): 0.97 against 0.78.",
            "A request takes 240 tokens with it, and 63.",
        ),
        ("Maintenance: a new label or rule needs new rows and another training.",),
    ),
    chosen_on="validation",
    search=SearchRecord(
        "s1",
        1.0,
        "demo",
        "plain",
        "queues/few-shot-better",
        "d",
        "queues/few-shot",
        "both",
        "desk",
        candidates=61,
        calls=1900,
        tokens=240_000,
        seconds=150.0,
        money=0.05,
    ),
    metrics=(METRIC,),
    curve=tuple(
        CurvePoint(kind, count, near(value))  # type: ignore[arg-type]
        for kind, points in (
            ("rows", {10: 0.2, 25: 0.45, 50: 0.7, 100: 0.88, 400: 0.97}),
            ("shots", {0: 0.13, 1: 0.2, 2: 0.41, 4: 0.6, 8: 0.78}),
        )
        for count, value in points.items()
    ),
)
