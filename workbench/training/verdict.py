"""A verdict: whether an adapter or an optimized prompt was worth making, as values; and what it is drawn from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, get_args

import msgspec

from workbench.analysis.narrative import format_value, name_metric
from workbench.analysis.retention import Retention
from workbench.analysis.summary import Estimate, PairOutcome, PairSummary, Summary, VariantSummary, swap_sides
from workbench.errors import TrainingError
from workbench.runs.cost import Price
from workbench.runs.matrix_rows import Metric
from workbench.training.manifest import Manifest
from workbench.training.search_record import SearchRecord
from workbench.units import format_duration, format_money, format_plural

Condition = Literal[
    "zero-shot",
    "few-shot",
    "best prompt",
    "optimized prompt",
    "adapter",
    "adapter, few-shot",
    "adapter, optimized prompt",
]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
WITH_RETRIEVAL = " with retrieval"
"""behind the name of a prompt that is shown retrieved passages"""

HYBRIDS: tuple[Condition, ...] = ("adapter, few-shot", "adapter, optimized prompt")

Contender = Literal["few-shot", "optimized", "adapter", "hybrid"]
CONTENDERS: tuple[Contender, ...] = get_args(Contender)
"""What may be left out of a verdict; a short prompt and the best hand-written one are always there."""

Choice = Literal["prompt", "optimized prompt", "adapter", "adapter, few-shot", "adapter, optimized prompt", "undecided"]
Basis = Literal["money", "time", "tokens"]


class MakingCost(msgspec.Struct, frozen=True):
    """What it took to make what a condition needs: a search, a training, or both. None: unknown.

    tokens: read by the training, prompts and completions of the search; money: None without a price.
    """

    how: str
    seconds: float | None = None
    tokens: int | None = None
    money: float | None = None

    def __add__(self, other: MakingCost) -> MakingCost:
        return MakingCost(
            f"{self.how} and {other.how}",
            None if self.seconds is None or other.seconds is None else self.seconds + other.seconds,
            None if self.tokens is None or other.tokens is None else self.tokens + other.tokens,
            None if self.money is None or other.money is None else self.money + other.money,
        )


class ConditionResult(msgspec.Struct, frozen=True):
    """The figures of one condition, which a variant of the bench stands for, on the test split.

    latency: seconds; tokens: means of a request; cost_per_thousand: by the bench's prices, NaN without. made: None for
    a prompt that a person wrote.
    """

    condition: Condition
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
    made: MakingCost | None = None


class TrainingCost(msgspec.Struct, frozen=True):
    """What the training cost; None is unknown: the adapter was not trained here. adapter: "" where none is compared.

    money: seconds at the price of the machine's hour; None without a price.
    """

    adapter: str
    seconds: float | None = None
    tokens: int | None = None
    rows: int | None = None
    money: float | None = None


class BreakEven(msgspec.Struct, frozen=True):
    """After how many requests a condition has paid for its making, by what a request takes less than with the best
    hand-written prompt. requests: None where it never does.

    invested: what the making took; saved: by each request; both in money, seconds or tokens.
    """

    basis: Basis
    invested: float
    saved: float
    requests: int | None
    condition: Condition = "adapter"


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
    """run: on the test split; metric: what decides, one of metrics; pairs: comparisons by every metric.

    chosen_on: where the best prompt was chosen. search: of the optimized prompt; None without one, or where its search
    is unknown.
    """

    bench: str
    run: str
    dataset: str
    metric: Metric
    cases: int
    conditions: tuple[ConditionResult, ...]
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
    search: SearchRecord | None = None
    retention: tuple[Retention, ...] = ()

    def condition(self, name: Condition) -> ConditionResult | None:
        return next((one for one in self.conditions if one.condition == name), None)

    def pair(self, a: Condition, b: Condition, metric: str = "") -> PairSummary | None:
        """The comparison of b with a, by the deciding metric or another."""
        left, right = self.condition(a), self.condition(b)
        if left is None or right is None:
            return None
        names, wanted = {left.variant, right.variant}, metric or self.metric.name
        found = next((one for one in self.pairs if one.metric == wanted and {one.a, one.b} == names), None)
        return found if found is None or found.a == left.variant else swap_sides(found)


def describe_score(one: ConditionResult, metric: Metric) -> str:
    """A score with its interval."""
    found = one.scores.get(metric.name)
    if found is None or math.isnan(found.value):
        return "–"
    interval = "" if math.isnan(found.low) else f" ({found.low:.2f} – {found.high:.2f})"
    return f"{format_value(found.value, metric, found.n)}{interval}"


def describe_cost(spent: TrainingCost) -> str:
    """`400 rows, 68,000 tokens, 74 s, 0.5 in money`; what is not known, as such."""
    if spent.seconds is None:
        return "unknown, not trained here"
    money = f", {format_money(spent.money)} in money" if spent.money is not None else ""
    return (
        f"{format_plural(spent.rows or 0, 'row')},"
        f" {format_plural(spent.tokens or 0, 'token')}, {format_duration(spent.seconds)}{money}"
    )


def describe_making(made: MakingCost | None) -> str:
    """`search, 240,000 tokens, 3 min`; `by hand`."""
    if made is None:
        return "by hand"
    if made.seconds is None:
        return f"{made.how}, cost unknown"
    tokens = f", {format_plural(made.tokens, 'token')}" if made.tokens is not None else ""
    money = f", {format_money(made.money)} in money" if made.money is not None else ""
    return f"{made.how}, {format_duration(made.seconds)}{tokens}{money}"


def describe_search(record: SearchRecord) -> str:
    """`61 candidates, 1,900 calls, 240,000 tokens, 3 min, 0.5 in money`."""
    money = f", {format_money(record.money)} in money" if record.money is not None else ""
    return (
        f"{format_plural(record.candidates, 'candidate')},"
        f" {format_plural(record.calls, 'call')}, {format_plural(record.tokens, 'token')},"
        f" {format_duration(record.seconds)}{money}"
    )


def describe_metric(metric: Metric) -> str:
    return name_metric(metric.name)


class VerdictEvidence(msgspec.Struct, frozen=True):
    """What a verdict is drawn from. variants: condition -> its variant, which may stand for several.

    shown: variant -> its prompt, model and adapter. tried: how many prompts the best one was chosen from.
    manifest: of the adapter; None where it was not trained here. adapter: its name then, "" where none is compared.
    search: made the optimized prompt; None where that is unknown. searched: test cases that the search has used; None
    where that is unknown. edited: whether the optimized prompt was changed since.
    retention: what the adapter leaves of other tasks.
    """

    summary: Summary
    variants: Mapping[Condition, str]
    shown: Mapping[str, tuple[str, str, str]]
    manifest: Manifest | None
    dataset: str = ""
    chosen_on: str = ""
    tried: int = 1
    price: Price | None = None
    curve: tuple[CurvePoint, ...] = ()
    curve_pairs: tuple[CurvePair, ...] = ()
    created: float = 0.0
    adapter: str = ""
    search: SearchRecord | None = None
    searched: int | None = None
    edited: bool = False
    retention: tuple[Retention, ...] = ()

    @property
    def name(self) -> str:
        """The adapter's."""
        return self.manifest.name if self.manifest else self.adapter

    @property
    def hand_written(self) -> Condition:
        """The best prompt that a person wrote."""
        return "best prompt" if "best prompt" in self.variants else "zero-shot"

    def best_prompt(self, metric: Metric) -> Condition:
        """What an adapter is compared with: the optimized prompt only where it beats the best hand-written one."""
        pair = self.pair(metric, self.hand_written, "optimized prompt")
        return "optimized prompt" if pair is not None and pair.verdict == "better" else self.hand_written

    def of(self, condition: Condition) -> VariantSummary:
        """The figures of a condition's variant."""
        return self.summary.variant(self.variants[condition])

    def pair(self, metric: Metric, a: Condition, b: Condition) -> PairSummary | None:
        """The comparison of b's variant with a's; None where they are the same."""
        if a not in self.variants or b not in self.variants:
            return None
        left, right = self.variants[a], self.variants[b]
        return self.summary.pair(left, right, metric.name) if left != right else None

    @property
    def training(self) -> TrainingCost:
        """What the training cost."""
        made = self.manifest
        if made is None:
            return TrainingCost(self.name)
        rows = sum(trace.rows for trace in made.data if trace.role != "validation")
        hour = self.price.hour if self.price else 0.0
        return TrainingCost(made.name, made.seconds, made.tokens, rows, made.seconds / 3600 * hour if hour else None)

    def made(self, condition: Condition) -> MakingCost | None:
        """What it took to make what a condition needs; None: nothing, a person wrote it."""
        spent, record = self.training, self.search
        search = (
            MakingCost("search", record.seconds, record.tokens, record.money) if record else MakingCost("elsewhere")
        )
        training = MakingCost("training", spent.seconds, spent.tokens, spent.money)
        if condition == "adapter, optimized prompt":
            return search + training
        if condition == "optimized prompt":
            return search
        return training if condition in ("adapter", "adapter, few-shot") else None


def count_tokens(one: VariantSummary) -> float:
    """Prompt and completion tokens of a request."""
    return one.tokens_in + one.tokens_out


def parse_contenders(text: str) -> tuple[Contender, ...]:
    """`few-shot, hybrid` by their names. Raises TrainingError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in CONTENDERS]
    if unknown:
        raise TrainingError(
            f"Contenders: expected some of {', '.join(CONTENDERS)}, found {', '.join(map(repr, unknown))}.",
            "Correct it, or leave it empty.",
        )
    return tuple(name for name in CONTENDERS if name in names)
