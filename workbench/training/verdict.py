"""Verdict: whether an adapter was worth its training: numbers on one test split, and what follows from them in words.

Knows nothing of how answers came about (contest.py) or how a verdict is laid out (verdict_report.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from workbench.evaluation.cost import Price
from workbench.evaluation.summary import Estimate, PairSummary, Summary, VariantSummary
from workbench.evaluation.view import Metric
from workbench.evaluation.words import format_seconds, format_value, name_metric, tell_pair
from workbench.training.manifest import Manifest

Arm = Literal["zero-shot", "few-shot", "best prompt", "adapter", "adapter, few-shot"]
ARMS: tuple[Arm, ...] = ("zero-shot", "few-shot", "best prompt", "adapter", "adapter, few-shot")

Choice = Literal["prompt", "adapter", "adapter, few-shot", "undecided"]
Basis = Literal["money", "time", "tokens"]

_FEW_ROWS = 100
_FEW_CASES = 100
_WORTH_KNOWING = 0.05
"""A difference on a scale from 0 to 1 that is worth more cases."""

_LEAST_SAVING = 0.1
"""The share of a request that must be saved to be worth a word."""


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


class Recommendation(msgspec.Struct, frozen=True):
    """What to do. evidence: what it rests on; caveats: what may overturn it."""

    choice: Choice
    headline: str
    evidence: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()


class Verdict(msgspec.Struct, frozen=True):
    """All of it. run: the run on the test split; chosen_on: where the best prompt was chosen."""

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
    curve: tuple[CurvePoint, ...] = ()
    notes: tuple[str, ...] = ()
    created: float = 0.0

    def arm(self, name: Arm) -> Standing | None:
        return next((one for one in self.arms if one.arm == name), None)


class Evidence(msgspec.Struct, frozen=True):
    """What a verdict is made of. variants: arm -> the variant that stands for it, which may stand for several.

    shown: variant -> its prompt, model and adapter. tried: how many prompts the best one was chosen from.
    """

    summary: Summary
    variants: Mapping[Arm, str]
    shown: Mapping[str, tuple[str, str, str]]
    manifest: Manifest
    dataset: str = ""
    chosen_on: str = ""
    tried: int = 1
    price: Price | None = None
    curve: tuple[CurvePoint, ...] = ()
    created: float = 0.0


def conclude(evidence: Evidence) -> Verdict:
    """The verdict on an adapter."""
    summary = evidence.summary
    metric = summary.metrics[0]
    arms = tuple(_stand(evidence, arm) for arm in ARMS if arm in evidence.variants)
    training = _count_training(evidence)
    even = tuple(_break_even(evidence, training))
    return Verdict(
        bench=summary.bench,
        run=summary.run,
        dataset=evidence.dataset,
        metric=metric,
        cases=summary.cases,
        arms=arms,
        pairs=tuple(pair for pair in summary.pairs if pair.metric == metric.name),
        training=training,
        break_even=even,
        recommendation=_recommend(evidence, metric, even),
        chosen_on=evidence.chosen_on,
        curve=evidence.curve,
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


def _count_training(evidence: Evidence) -> TrainingCost:
    made = evidence.manifest
    rows = sum(trace.rows for trace in made.data if trace.role != "validation")
    hour = evidence.price.hour if evidence.price else 0.0
    return TrainingCost(made.name, made.seconds, made.tokens, rows, made.seconds / 3600 * hour if hour else None)


def _break_even(evidence: Evidence, training: TrainingCost) -> Iterator[BreakEven]:
    """In money, where there are prices; in the machine's time; in tokens."""
    prompt, tuned = (evidence.summary.variant(evidence.variants[arm]) for arm in _rivals(evidence))
    if training.money is not None:
        yield _pay(evidence, "money", training.money, (prompt.cost_per_thousand - tuned.cost_per_thousand) / 1000)
    yield _pay(evidence, "time", training.seconds, prompt.latency_p50 - tuned.latency_p50)
    yield _pay(evidence, "tokens", float(training.tokens), _tokens(prompt) - _tokens(tuned))


def _rivals(evidence: Evidence) -> tuple[Arm, Arm]:
    """What would be used without the adapter, and the adapter with the short prompt."""
    return ("best prompt" if "best prompt" in evidence.variants else "zero-shot"), "adapter"


def _pay(evidence: Evidence, basis: Basis, invested: float, saved: float) -> BreakEven:
    pays = math.isfinite(saved) and saved > 0
    return BreakEven(basis, invested, saved, math.ceil(invested / saved) if pays else None)


def _tokens(one: VariantSummary) -> float:
    return one.tokens_in + one.tokens_out


# --- words -----------------------------------------------------------------------------------------------------------


def _recommend(evidence: Evidence, metric: Metric, even: tuple[BreakEven, ...]) -> Recommendation:
    choice, headline = _choose(evidence, metric, even)
    return Recommendation(
        choice, headline, tuple(_collect(evidence, metric, even)), tuple(_list_caveats(evidence, metric, choice))
    )


def _choose(evidence: Evidence, metric: Metric, even: tuple[BreakEven, ...]) -> tuple[Choice, str]:
    rival, tuned = _rivals(evidence)
    against = _pair(evidence, metric, rival, tuned)
    both = _pair(evidence, metric, tuned, "adapter, few-shot")
    name = evidence.variants[rival]
    adapter = evidence.manifest.name
    if both and both.verdict == "better" and (_verdict(evidence, metric, rival, "adapter, few-shot") == "better"):
        return "adapter, few-shot", f"Use the adapter {adapter} with the examples: each of the two adds something real."
    if against is None:
        return "undecided", "There is nothing to compare the adapter with."
    if against.verdict == "better":
        return "adapter", f"Use the adapter {adapter} with the short prompt: it is better than the best prompt, {name}."
    if against.verdict == "worse":
        return "prompt", f"Keep the prompt {name}: the adapter {adapter} is worse than it."
    if against.needed_cases and abs(against.difference) >= _WORTH_KNOWING and not metric.free:
        return (
            "undecided",
            f"It cannot be told yet: the adapter {adapter} and the prompt {name} differ by {against.difference:+.2f},"
            f" and {evidence.summary.cases:,} test cases cannot tell that from chance; about"
            f" {against.needed_cases:,} would.",
        )
    saving = next((one for one in even if one.requests is not None and one.basis != "tokens"), None)
    saved = next((one for one in even if one.basis == "tokens"), None)
    worth = saved is not None and saved.saved > _LEAST_SAVING * _tokens(evidence.summary.variant(name))
    if saving and saving.requests is not None and worth:
        return (
            "undecided",
            f"In quality the adapter {adapter} and the prompt {name} cannot be told apart. Below about"
            f" {saving.requests:,} requests the prompt is the cheaper choice, above it the adapter is.",
        )
    return "prompt", f"Keep the prompt {name}: the adapter {adapter} cannot be told apart from it, and saves nothing."


def _collect(evidence: Evidence, metric: Metric, even: tuple[BreakEven, ...]) -> Iterator[str]:
    rival, tuned = _rivals(evidence)
    labels = {
        name: f"{arm} ({name})" if arm != name else name for arm, name in reversed(list(evidence.variants.items()))
    }
    seen: set[frozenset[str]] = set()
    comparisons: tuple[tuple[Arm, Arm], ...] = (
        ("zero-shot", rival),
        (rival, tuned),
        ("zero-shot", tuned),
        (tuned, "adapter, few-shot"),
    )
    for a, b in comparisons:
        pair = _pair(evidence, metric, a, b)
        names = frozenset((evidence.variants.get(a, ""), evidence.variants.get(b, "")))
        if pair and names not in seen:
            seen.add(names)
            told = tell_pair(pair, metric, evidence.summary, labels)
            yield told[0].upper() + told[1:]
    yield from _tell_requests(evidence, rival, tuned)
    yield from (_tell_break_even(one) for one in even)
    yield from _tell_curve(evidence.curve, metric)


def _tell_requests(evidence: Evidence, rival: Arm, tuned: Arm) -> Iterator[str]:
    prompt, adapter = (evidence.summary.variant(evidence.variants[arm]) for arm in (rival, tuned))
    if math.isfinite(prompt.tokens_in) and math.isfinite(adapter.tokens_in):
        yield (
            f"A request takes {_tokens(prompt):.0f} tokens with the best prompt and {_tokens(adapter):.0f} with the"
            f" adapter; half of the answers are there after {format_seconds(prompt.latency_p50)} and"
            f" {format_seconds(adapter.latency_p50)}."
        )


def _tell_break_even(one: BreakEven) -> str:
    unit = {"money": "in money", "time": "in the machine's time", "tokens": "in tokens"}[one.basis]
    shown = {
        "money": f"{one.invested:.4g}",
        "time": format_seconds(one.invested),
        "tokens": f"{one.invested:,.0f} tokens",
    }[one.basis]
    if one.requests is None:
        return (
            f"Counted {unit}, the training ({shown}) never pays for itself: a request with the adapter saves nothing."
        )
    return f"Counted {unit}, the training ({shown}) has paid for itself after {one.requests:,} requests."


def _tell_curve(curve: tuple[CurvePoint, ...], metric: Metric) -> Iterator[str]:
    """From how many rows on training beats any number of shots."""
    shots = [point for point in curve if point.kind == "shots" and math.isfinite(point.score.value)]
    rows = [point for point in curve if point.kind == "rows" and math.isfinite(point.score.value)]
    if not shots or not rows:
        return
    sign = -1 if metric.lower_is_better else 1
    best = max(shots, key=lambda point: sign * point.score.value)
    beyond = next((point for point in rows if _exceeds(point, best, metric)), None)
    shown = format_value(best.score.value, metric, best.score.n)
    if beyond is None:
        yield f"No number of rows that was tried is clearly above the best number of shots ({best.count}: {shown})."
    else:
        yield (
            f"Prompting stops being enough at {beyond.count} training rows:"
            f" {format_value(beyond.score.value, metric, beyond.score.n)} on the validation split, against {shown} with"
            f" {best.count} shots, the best number of them."
        )


def _exceeds(point: CurvePoint, best: CurvePoint, metric: Metric) -> bool:
    if metric.lower_is_better:
        return point.score.high < best.score.value
    return point.score.low > best.score.value


def _list_caveats(evidence: Evidence, metric: Metric, choice: Choice) -> Iterator[str]:
    made, summary = evidence.manifest, evidence.summary
    training = _count_training(evidence)
    if summary.cases < _FEW_CASES:
        yield f"The test split has only {summary.cases} cases: differences of a few points cannot be seen on it."
    if training.rows < _FEW_ROWS:
        yield f"The adapter has learned from only {training.rows} rows; more may change the picture."
    if evidence.chosen_on == "test":
        yield "The best prompt was chosen on the test split itself, which flatters it."
    elif evidence.tried > 1:
        yield (
            f"The best prompt was chosen from {evidence.tried} on the {evidence.chosen_on} split; the test split was"
            " kept for the end."
        )
    yield (
        "Stability: the adapter knows the task as it was in its rows. A new label or rule means new rows and another"
        f" training of about {format_seconds(training.seconds)}; a prompt is changed in a minute."
    )
    yield (
        f"An adapter belongs to its one base ({made.base_digest[:8] or 'unknown'}): with another model it has to be"
        " trained anew, while a prompt goes along. In return it needs no examples at hand and works offline."
    )
    if choice != "prompt":
        yield "Before it is used on other data, run this bench on them: `workbench drift` tells when it falls."
    yield from (note for note in summary.notes)


def _pair(evidence: Evidence, metric: Metric, a: Arm, b: Arm) -> PairSummary | None:
    if a not in evidence.variants or b not in evidence.variants:
        return None
    left, right = evidence.variants[a], evidence.variants[b]
    return evidence.summary.pair(left, right, metric.name) if left != right else None


def _verdict(evidence: Evidence, metric: Metric, a: Arm, b: Arm) -> str:
    pair = _pair(evidence, metric, a, b)
    return pair.verdict if pair else ""


def tell_score(one: Standing, metric: Metric) -> str:
    """A score with its interval."""
    found = one.scores.get(metric.name)
    if found is None or math.isnan(found.value):
        return "–"
    interval = "" if math.isnan(found.low) else f" ({found.low:.2f} – {found.high:.2f})"
    return f"{format_value(found.value, metric, found.n)}{interval}"


def describe_metric(metric: Metric) -> str:
    return name_metric(metric.name)
