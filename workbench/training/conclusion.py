"""Conclusion: from the evidence to the verdict: how each side stands, and when the training has paid for itself.

Knows nothing of how answers came about (contest.py) or of the words that recommend (recommendation.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from workbench.training.evidence import Evidence, count_tokens
from workbench.training.recommendation import recommend
from workbench.training.verdict import ARMS, Arm, Basis, BreakEven, Standing, TrainingCost, Verdict


def conclude(evidence: Evidence) -> Verdict:
    """The verdict on an adapter."""
    summary = evidence.summary
    metric = summary.metrics[0]
    arms = tuple(_stand(evidence, arm) for arm in ARMS if arm in evidence.variants)
    training = evidence.training
    even = tuple(_break_even(evidence, training))
    return Verdict(
        bench=summary.bench,
        run=summary.run,
        dataset=evidence.dataset,
        metric=metric,
        cases=summary.cases,
        arms=arms,
        pairs=summary.pairs,
        training=training,
        break_even=even,
        recommendation=recommend(evidence, metric, even),
        chosen_on=evidence.chosen_on,
        metrics=summary.metrics,
        curve=evidence.curve,
        curve_pairs=evidence.curve_pairs,
        notes=summary.notes,
        created=evidence.created,
    )


def _stand(evidence: Evidence, arm: Arm) -> Standing:
    name = evidence.variants[arm]
    found = evidence.summary.variant(name)
    prompt, model, adapter = evidence.shown[name]
    return Standing(
        arm=arm,
        variant=name,
        prompt=prompt,
        model=model,
        adapter=adapter,
        scores=found.scores,
        tokens_in=found.tokens_in,
        tokens_out=found.tokens_out,
        latency_p50=found.latency_p50,
        latency_p95=found.latency_p95,
        cost_per_thousand=found.cost_per_thousand,
        cases=found.n,
        failed=found.failed,
    )


def _break_even(evidence: Evidence, training: TrainingCost) -> Iterator[BreakEven]:
    """In money, where there are prices; in the machine's time; in tokens."""
    prompt, tuned = map(evidence.of, evidence.rivals)
    if training.money is not None:
        yield _pay("money", training.money, (prompt.cost_per_thousand - tuned.cost_per_thousand) / 1000)
    yield _pay("time", training.seconds, prompt.latency_p50 - tuned.latency_p50)
    yield _pay("tokens", float(training.tokens), count_tokens(prompt) - count_tokens(tuned))


def _pay(basis: Basis, invested: float, saved: float) -> BreakEven:
    pays = math.isfinite(saved) and saved > 0
    return BreakEven(basis, invested, saved, math.ceil(invested / saved) if pays else None)
