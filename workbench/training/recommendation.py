"""From the evidence to a verdict: whether to use a prompt, an optimized one or an adapter, and why."""

from __future__ import annotations

from workbench.runs.matrix_rows import Metric
from workbench.training.break_even import INVESTED, find_break_even
from workbench.training.verdict import (
    CONDITIONS,
    HYBRIDS,
    WITH_RETRIEVAL,
    BreakEven,
    Choice,
    Condition,
    ConditionResult,
    Recommendation,
    Verdict,
    VerdictEvidence,
    count_tokens,
)
from workbench.training.verdict_caveats import list_caveats
from workbench.training.verdict_reasons import list_reasons

_WORTH_KNOWING = 0.05
"""A difference on a scale from 0 to 1 that is worth more cases."""

_LEAST_SAVING = 0.1
"""Share of a request's tokens that must be saved to count."""

_CHOICES: dict[Condition, Choice] = {"adapter": "adapter", "optimized prompt": "optimized prompt"}
_KEEP: dict[Choice, str] = {"prompt": "Keep", "optimized prompt": "Use"}
_MAKING: dict[Condition, str] = {"adapter": "training", "optimized prompt": "search"}


def recommend(evidence: VerdictEvidence, metric: Metric, even: tuple[BreakEven, ...]) -> Recommendation:
    """What to do, by one metric; no adapter that loses more elsewhere than the bench allows."""
    choice, headline = _choose(evidence, metric)
    lost = [one.task for one in evidence.retention if one.result.outcome == "worse"]
    if lost and choice in ("adapter", "adapter, few-shot", "adapter, optimized prompt"):
        choice, headline = _choose_without_adapter(evidence, metric, lost)
    return Recommendation(
        choice, headline, tuple(list_reasons(evidence, metric, even)), tuple(list_caveats(evidence, choice))
    )


def _choose(evidence: VerdictEvidence, metric: Metric) -> tuple[Choice, str]:
    """The best prompt first, an optimized one only where it beats the hand-written one; then the adapter against it."""
    written, prompt = evidence.hand_written, evidence.best_prompt(metric)
    if "adapter" not in evidence.variants:
        return _choose_between(evidence, metric, written, "optimized prompt")
    hybrid = _find_hybrid(evidence, metric, prompt)
    if hybrid == "adapter, optimized prompt":
        return hybrid, f"Use the adapter {evidence.name} on the optimized prompt: each improves the score."
    if hybrid is not None:
        return "adapter, few-shot", f"Use the adapter {evidence.name} with few-shot examples: each improves the score."
    return _choose_between(evidence, metric, prompt, "adapter")


def _choose_without_adapter(evidence: VerdictEvidence, metric: Metric, lost: list[str]) -> tuple[Choice, str]:
    prompt = evidence.best_prompt(metric)
    choice: Choice = "optimized prompt" if prompt == "optimized prompt" else "prompt"
    return choice, (
        f"{_KEEP[choice]} {_name(evidence, prompt)}: the adapter {evidence.name} scores higher, but loses more than the"
        f" bench's margin on {', '.join(lost)}."
    )


def _find_hybrid(evidence: VerdictEvidence, metric: Metric, prompt: Condition) -> Condition | None:
    """The best condition with adapter and long prompt that beats both the adapter alone and the prompt alone."""
    found = [
        one
        for one in HYBRIDS
        if _verdict(evidence, metric, "adapter", one) == "better"
        and _verdict(evidence, metric, prompt, one) == "better"
    ]
    sign = -1 if metric.lower_is_better else 1
    return max(found, key=lambda one: sign * evidence.of(one).scores[metric.name].value, default=None)


def _choose_between(
    evidence: VerdictEvidence, metric: Metric, incumbent: Condition, challenger: Condition
) -> tuple[Choice, str]:
    """Whether to use the challenger, an adapter or an optimized prompt, instead of a prompt."""
    against = evidence.pair(metric, incumbent, challenger)
    new, old = _name(evidence, challenger), _name(evidence, incumbent)
    keep: Choice = "optimized prompt" if incumbent == "optimized prompt" else "prompt"
    if against is None:
        return "undecided", f"Nothing to compare {new} with."
    if against.verdict == "withheld":
        return "undecided", f"No verdict on {new} and {old}: {against.withheld}."
    if against.verdict == "better":
        how = " with the short prompt" if challenger == "adapter" else ""
        best = "best" if challenger == "adapter" else "best hand-written"
        name = evidence.variants[incumbent]
        beaten = f"the {best} prompt{_name_retrieval(evidence, name)}, {name}"
        beaten = old if keep == "optimized prompt" else beaten
        return _CHOICES[challenger], f"Use {new}{how}: it beats {beaten}."
    if against.verdict == "worse":
        return keep, f"{_KEEP[keep]} {old}: {new} is worse."
    if against.needed_cases and abs(against.difference) >= _WORTH_KNOWING and not metric.free:
        return (
            "undecided",
            f"Inconclusive: {new} and {old} differ by {against.difference:+.2f}, which is not significant on"
            f" {evidence.summary.cases:,} test cases; about {against.needed_cases:,} are needed.",
        )
    return _choose_by_cost(evidence, incumbent, challenger, keep)


def _choose_by_cost(
    evidence: VerdictEvidence, incumbent: Condition, challenger: Condition, keep: Choice
) -> tuple[Choice, str]:
    """The same where the quality does not differ significantly."""
    new, old = _name(evidence, challenger), _name(evidence, incumbent)
    before = count_tokens(evidence.of(incumbent))
    fewer = before - count_tokens(evidence.of(challenger))
    even = find_break_even(evidence, incumbent, challenger)
    saving = next((one for one in even if one.requests is not None and one.basis != "tokens"), None)
    if saving and saving.requests is not None and fewer > _LEAST_SAVING * before:
        return (
            "undecided",
            f"{new[0].upper()}{new[1:]} and {old} do not differ significantly in quality. Below about"
            f" {saving.requests:,} requests the {keep} is cheaper, above that the {challenger}.",
        )
    made = evidence.made(challenger)
    if made is not None and made.seconds is None and fewer > _LEAST_SAVING * before:
        how = "with the adapter" if challenger == "adapter" else "with it"
        return (
            "undecided",
            f"{new[0].upper()}{new[1:]} and {old} do not differ significantly in quality. A request takes"
            f" {fewer:,.0f} tokens less {how}; what its {_MAKING[challenger]} cost is unknown.",
        )
    return keep, f"{_KEEP[keep]} {old}: {new} is not significantly better, and saves nothing."


def _name(evidence: VerdictEvidence, condition: Condition) -> str:
    if condition == "adapter":
        return f"the adapter {evidence.name}"
    name = evidence.variants.get(condition, condition)
    if condition != "optimized prompt":
        return f"the prompt {name}{_name_retrieval(evidence, name)}"
    return f"the optimized prompt {evidence.shown[name][0]}" if name in evidence.shown else "the optimized prompt"


def _name_retrieval(evidence: VerdictEvidence, variant: str) -> str:
    return WITH_RETRIEVAL if WITH_RETRIEVAL in evidence.shown.get(variant, ("",))[0] else ""


def _verdict(evidence: VerdictEvidence, metric: Metric, a: Condition, b: Condition) -> str:
    pair = evidence.pair(metric, a, b)
    return pair.verdict if pair else ""


def conclude(evidence: VerdictEvidence) -> Verdict:
    """The verdict on an adapter, on an optimized prompt, or on both."""
    summary = evidence.summary
    metric = summary.metrics[0]
    conditions = tuple(
        _summarize_condition(evidence, condition) for condition in CONDITIONS if condition in evidence.variants
    )
    even = tuple(
        found
        for condition in INVESTED
        if condition in evidence.variants
        for found in find_break_even(evidence, evidence.hand_written, condition)
    )
    return Verdict(
        bench=summary.bench,
        run=summary.run,
        dataset=evidence.dataset,
        metric=metric,
        cases=summary.cases,
        conditions=conditions,
        pairs=summary.pairs,
        training=evidence.training,
        break_even=even,
        recommendation=recommend(evidence, metric, even),
        chosen_on=evidence.chosen_on,
        metrics=summary.metrics,
        curve=evidence.curve,
        curve_pairs=evidence.curve_pairs,
        notes=summary.notes,
        created=evidence.created,
        search=evidence.search,
        retention=evidence.retention,
    )


def _summarize_condition(evidence: VerdictEvidence, condition: Condition) -> ConditionResult:
    name = evidence.variants[condition]
    found = evidence.summary.variant(name)
    prompt, model, adapter = evidence.shown[name]
    return ConditionResult(
        condition=condition,
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
        made=evidence.made(condition),
    )
