"""What a run says about its variants, in numbers: scores with intervals, and which differences are real."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from workbench.runs.matrix_rows import Metric

if TYPE_CHECKING:
    from workbench.runs.view import RunView

Outcome = Literal["better", "worse", "not distinguishable"]
PairOutcome = Outcome | Literal["withheld"]
VariantKind = Literal["", "zero-shot", "few-shot", "adapter", "adapter, few-shot"]


class Estimate(msgspec.Struct, frozen=True):
    """A mean with its 95% interval, over `n` cases. NaN: there is nothing to tell it from, or `unknown` says why."""

    value: float
    low: float
    high: float
    n: int
    unknown: str = ""


class StepSummary(msgspec.Struct, frozen=True):
    """One step of a chain over all cells of a variant.

    cells: in which its turn came or would have come; of these skipped: its condition did not hold; failed; not_run: a
    step before it failed; again: an answer was not accepted. calls: that were made; of these cached, and cut: ended at
    max_tokens or the context. tokens: means over the calls; latency_p50: seconds of a call that was not cached.
    cost_per_thousand: money for a thousand cells. live: tool calls that the bench's Python file answered before it;
    unanswered: those that nothing answered.
    """

    name: str
    cells: int = 0
    calls: int = 0
    skipped: int = 0
    failed: int = 0
    not_run: int = 0
    again: int = 0
    cached: int = 0
    cut: int = 0
    tokens_in: float = 0.0
    tokens_out: float = 0.0
    latency_p50: float = 0.0
    cost_per_thousand: float = 0.0
    live: int = 0
    unanswered: int = 0


class VariantSummary(msgspec.Struct, frozen=True):
    """One variant over all its cells.

    n: cells, of which some failed and some came from the cache; latency and speed count neither. cut: answers that
    ended at max_tokens or at the end of the context; cut_in_reasoning: those of them that were still reasoning, so that
    there is no answer at all. unscored: by metric, cells with an answer for which its scorer gave no score. seen: cases
    that the prompt's examples or the adapter's training rows hold.
    dataset_scores: values that only a whole dataset has, such as macro F1, by their name; dataset_intervals: the
    same with intervals, as far as they have any. problems: what could not be worked out, by the name of the value or of
    its scorer, and why.
    thought: answers with reasoning before them; thought_unasked: those of them whose model was told not to reason.
    first_answer: seconds to the first token behind the reasoning, of answers that have any.
    cached_p50: seconds that the answers from the cache took when they were generated, on another day perhaps.
    latency: seconds for the whole answer; tokens: means, those of thinking among the tokens out.
    cost_per_thousand: money for a thousand requests, by the price table of the bench. 0 where no cell says.
    role: what kind of variant it is; "" where that cannot be told. steps: of a chain.
    """

    name: str
    n: int = 0
    failed: int = 0
    cached: int = 0
    cut: int = 0
    cut_in_reasoning: int = 0
    unscored: dict[str, int] = {}
    seen: int = 0
    scores: dict[str, Estimate] = {}
    dataset_scores: dict[str, float] = {}
    dataset_intervals: dict[str, Estimate] = {}
    latency_p50: float = 0.0
    latency_p95: float = 0.0
    tokens_in: float = 0.0
    tokens_out: float = 0.0
    tokens_per_second: float = 0.0
    cost_per_thousand: float = 0.0
    thinking_tokens: float = 0.0
    first_answer_p50: float = 0.0
    thought: int = 0
    thought_unasked: int = 0
    cached_p50: float = 0.0
    role: VariantKind = ""
    problems: dict[str, str] = {}
    steps: tuple[StepSummary, ...] = ()


class Effect(msgspec.Struct, frozen=True):
    """How large a difference is, on a scale that the field has a name for."""

    name: str
    value: float


class PairSummary(msgspec.Struct, frozen=True):
    """Two variants on the cases that both have, by one metric.

    difference: b minus a; its 95% interval is that of this pair alone. p_adjusted: after Holm's correction over the
    `family` of pairs of the metric; the verdict is about b and follows it. needed_cases: how many cases would tell with
    80% power, were the difference seen here the true one; None when there is no difference to find. needed_least,
    needed_most: the same for the largest and the smallest difference in the interval; needed_most is None where the
    interval holds no difference at all, needed_least 0 where there is no interval. unknown: why there is none.
    withheld: why the figures allow no verdict, whatever the test says; "" where they do.
    """

    a: str
    b: str
    metric: str
    n: int
    difference: float
    low: float
    high: float
    p: float
    p_adjusted: float
    effect: Effect
    test: str
    verdict: PairOutcome
    needed_cases: int | None = None
    a_only: int = 0
    b_only: int = 0
    """cases that only one of the two has right, where the metric is binary"""
    needed_least: int = 0
    needed_most: int | None = None
    unknown: str = ""
    family: int = 1
    withheld: str = ""


class Confusion(msgspec.Struct, frozen=True):
    """How often a variant answered what: counts[expected][answered], the last column being any other answer."""

    variant: str
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class PromptSensitivity(msgspec.Struct, frozen=True):
    """How far a variant's mean score by a metric hangs on the wording of its prompt.

    written: as the prompt stands. mean, low, high, deviation (standard): over all wordings, the written one among them.
    worst: the wording with the worst score.
    """

    variant: str
    metric: str
    written: float
    wordings: int
    mean: float
    low: float
    high: float
    deviation: float
    worst: str


class RetrievalEffect(msgspec.Struct, frozen=True):
    """What retrieval does for a variant's score by a metric.

    none, oracle: variants that differ from it in what they retrieve alone; "" where there is none. gain: the variant
    against none. loss: the oracle against the variant. Either is None where there is nothing to compare.
    """

    variant: str
    none: str
    oracle: str
    metric: str
    gain: PairSummary | None
    loss: PairSummary | None


class CorrectedPreference(msgspec.Struct, frozen=True):
    """How often b's answer is better than a's: by the judge alone, and as people would say (prediction-powered
    inference). pairs: cases that the judge compared; votes: those of them that people voted on."""

    a: str
    b: str
    judge: float
    people: Estimate
    pairs: int
    votes: int


class JudgeCheck(msgspec.Struct, frozen=True):
    """One judge. votes, expected: the share of opinions that it agrees with, n of them; None where there are none.

    reference: the metric that knows the expected answers. reliable: better than chance by all that is known; None where
    nothing is known.
    """

    metric: str
    votes: Estimate | None
    expected: Estimate | None
    reference: str
    reliable: bool | None
    corrected: tuple[CorrectedPreference, ...] = ()


class Slice(msgspec.Struct, frozen=True):
    """The cases with one value of a column. scores: variant -> metric -> estimate. pairs: each variant against the best
    of the whole run, by the first metric; Holm's correction is over all pairs of all slices of the column."""

    value: str
    cases: int
    scores: dict[str, dict[str, Estimate]] = {}
    pairs: tuple[PairSummary, ...] = ()


class SliceTable(msgspec.Struct, frozen=True):
    """A column's slices, the commonest value first. others: cases with values that are not listed; missing: without
    any."""

    column: str
    slices: tuple[Slice, ...]
    others: int = 0
    missing: int = 0


class RepeatSummary(msgspec.Struct, frozen=True):
    """What several answers to a case are worth together, by one metric.

    pass_at: number of answers -> the chance that one of them is right; empty for a metric that is not of right and
    wrong. majority: the commonest answer of a case, likewise; of equally common ones the mean. best: the best of all
    `repeats` answers, which only one who knows the right answer could choose. incomplete: cases that lack answers or
    scores, which are in none of these.
    """

    variant: str
    metric: str
    repeats: int
    pass_at: dict[int, Estimate]
    majority: Estimate | None
    best: Estimate
    incomplete: int = 0


class Summary(msgspec.Struct, frozen=True):
    """variants: without the alternates of a run with --robustness, which have spreads instead.
    cases: those that any variant has a score for. metrics: in the bench's order, but unreliable judges last. best: the
    variant with the best first metric; "" when nothing was scored. notes: what a reader has to know before they believe
    the numbers."""

    run: str = ""
    bench: str = ""
    cases: int = 0
    metrics: tuple[Metric, ...] = ()
    variants: tuple[VariantSummary, ...] = ()
    pairs: tuple[PairSummary, ...] = ()
    confusion: tuple[Confusion, ...] = ()
    best: str = ""
    notes: tuple[str, ...] = ()
    spreads: tuple[PromptSensitivity, ...] = ()
    retrieval: tuple[RetrievalEffect, ...] = ()
    judges: tuple[JudgeCheck, ...] = ()
    slices: tuple[SliceTable, ...] = ()
    repeats: tuple[RepeatSummary, ...] = ()

    def variant(self, name: str) -> VariantSummary:
        return next(variant for variant in self.variants if variant.name == name)

    def pair(self, a: str, b: str, metric: str) -> PairSummary | None:
        """The pair read as `b` against `a`, whichever way round it was computed."""
        for pair in self.pairs:
            if pair.metric == metric and {pair.a, pair.b} == {a, b}:
                return pair if pair.a == a else swap_sides(pair)
        return None


_SWAPPED: dict[Outcome, Outcome] = {"better": "worse", "worse": "better", "not distinguishable": "not distinguishable"}


def swap_outcome(outcome: Outcome) -> Outcome:
    """The verdict on the other side."""
    return _SWAPPED[outcome]


def swap_sides(pair: PairSummary) -> PairSummary:
    """The same comparison seen from the other side."""
    return msgspec.structs.replace(
        pair,
        a=pair.b,
        b=pair.a,
        difference=-pair.difference,
        low=-pair.high,
        high=-pair.low,
        effect=msgspec.structs.replace(pair.effect, value=-pair.effect.value),
        verdict=pair.verdict if pair.verdict == "withheld" else swap_outcome(pair.verdict),
        a_only=pair.b_only,
        b_only=pair.a_only,
    )


def summarize_run(store_path: str, run_id: str) -> Summary:
    """The summary of a run in a store; takes and gives plain values, so that another process can do it.

    Raises StoreError.
    """
    from workbench.analysis.summarizing import summarize_stored

    return summarize_stored(store_path, run_id)


def summarize(view: RunView, slices: tuple[str, ...] = ()) -> Summary:
    """The summary of what a run has so far; seconds for 100,000 cells. slices: columns besides those of the bench."""
    from workbench.analysis.summarizing import compute_summary

    return compute_summary(view, slices)
