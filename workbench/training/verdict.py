"""Verdict: whether an adapter was worth its training: numbers on one test split, and what follows from them in words.

Holds values alone. Knows nothing of how one is reached (conclusion.py) or laid out (verdict_report.py).
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from workbench.evaluation.summary import Estimate, PairOutcome, PairSummary, turn
from workbench.evaluation.view import Metric
from workbench.evaluation.words import format_value, name_metric

Arm = Literal["zero-shot", "few-shot", "best prompt", "adapter", "adapter, few-shot"]
ARMS: tuple[Arm, ...] = ("zero-shot", "few-shot", "best prompt", "adapter", "adapter, few-shot")

Choice = Literal["prompt", "adapter", "adapter, few-shot", "undecided"]
Basis = Literal["money", "time", "tokens"]


class Standing(msgspec.Struct, frozen=True):
    """One of those that are compared: a variant of the bench, and the numbers that it reached on the test split.

    latency: seconds; tokens: means of a request; cost_per_thousand: by the bench's prices, NaN without.
    """

    arm: Arm
    variant: str
    prompt: str
    model: str
    adapter: str
    scores: dict[str, Estimate]
    tokens_in: float
    tokens_out: float
    latency_p50: float
    latency_p95: float
    cost_per_thousand: float
    cases: int
    failed: int = 0


class TrainingCost(msgspec.Struct, frozen=True):
    """What the adapter took. money: seconds at the price of the machine's hour; None without a price."""

    adapter: str
    seconds: float
    tokens: int
    rows: int
    money: float | None = None


class BreakEven(msgspec.Struct, frozen=True):
    """After how many requests the training has paid for itself by shorter prompts. requests: None where it never does.

    invested: what training took; saved: by each request; both in money, seconds or tokens.
    """

    basis: Basis
    invested: float
    saved: float
    requests: int | None


class CurvePoint(msgspec.Struct, frozen=True):
    """The score with so many training rows, or so many shots, on the validation split."""

    kind: Literal["rows", "shots"]
    count: int
    score: Estimate


class CurvePair(msgspec.Struct, frozen=True):
    """An adapter of so many rows against so many shots, on the same validation cases.

    p: after Holm's correction over every two points of the curve, of which there are `family`. verdict: on the rows.
    """

    rows: int
    shots: int
    n: int
    p: float
    verdict: PairOutcome
    family: int


class Recommendation(msgspec.Struct, frozen=True):
    """What to do. evidence: what it rests on; caveats: what may overturn it."""

    choice: Choice
    headline: str
    evidence: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()


class Verdict(msgspec.Struct, frozen=True):
    """All of it. run: the run on the test split; metric: what decides, one of metrics; pairs: by every metric.

    chosen_on: where the best prompt was chosen.
    """

    bench: str
    run: str
    dataset: str
    metric: Metric
    cases: int
    arms: tuple[Standing, ...]
    pairs: tuple[PairSummary, ...]
    training: TrainingCost
    break_even: tuple[BreakEven, ...]
    recommendation: Recommendation
    chosen_on: str = ""
    metrics: tuple[Metric, ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    curve_pairs: tuple[CurvePair, ...] = ()
    notes: tuple[str, ...] = ()
    created: float = 0.0

    def arm(self, name: Arm) -> Standing | None:
        return next((one for one in self.arms if one.arm == name), None)

    def pair(self, a: Arm, b: Arm, metric: str = "") -> PairSummary | None:
        """How b stands against a, by one metric, the deciding one unless named."""
        left, right = self.arm(a), self.arm(b)
        if left is None or right is None:
            return None
        names, wanted = {left.variant, right.variant}, metric or self.metric.name
        found = next((one for one in self.pairs if one.metric == wanted and {one.a, one.b} == names), None)
        return found if found is None or found.a == left.variant else turn(found)


def tell_score(one: Standing, metric: Metric) -> str:
    """A score with its interval."""
    found = one.scores.get(metric.name)
    if found is None or math.isnan(found.value):
        return "–"
    interval = "" if math.isnan(found.low) else f" ({found.low:.2f} – {found.high:.2f})"
    return f"{format_value(found.value, metric, found.n)}{interval}"


def describe_metric(metric: Metric) -> str:
    return name_metric(metric.name)
