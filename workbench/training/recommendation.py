"""Recommendation: whether to use the prompt or the adapter, why, and what may overturn that, in words.

Every sentence is built from the evidence; where it does not tell, it says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from workbench.evaluation.view import Metric
from workbench.evaluation.words import format_p, format_seconds, format_value, tell_pair
from workbench.training.evidence import Evidence, count_tokens
from workbench.training.verdict import Arm, BreakEven, Choice, Recommendation

_FEW_ROWS = 100
_FEW_CASES = 100
_WORTH_KNOWING = 0.05
"""A difference on a scale from 0 to 1 that is worth more cases."""

_LEAST_SAVING = 0.1
"""The share of a request that must be saved to be worth a word."""


def recommend(evidence: Evidence, metric: Metric, even: tuple[BreakEven, ...]) -> Recommendation:
    """What to do, by one metric."""
    choice, headline = _choose(evidence, metric, even)
    return Recommendation(
        choice, headline, tuple(_collect(evidence, metric, even)), tuple(_list_caveats(evidence, metric, choice))
    )


def _choose(evidence: Evidence, metric: Metric, even: tuple[BreakEven, ...]) -> tuple[Choice, str]:
    rival, tuned = evidence.rivals
    against = evidence.pair(metric, rival, tuned)
    both = evidence.pair(metric, tuned, "adapter, few-shot")
    name = evidence.variants[rival]
    adapter = evidence.manifest.name
    if both and both.verdict == "better" and _verdict(evidence, metric, rival, "adapter, few-shot") == "better":
        return "adapter, few-shot", f"Use the adapter {adapter} with the examples: each of the two adds something real."
    if against is None:
        return "undecided", "There is nothing to compare the adapter with."
    if against.verdict == "withheld":
        return "undecided", f"There is no verdict on the adapter {adapter} and the prompt {name}: {against.withheld}."
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
    worth = saved is not None and saved.saved > _LEAST_SAVING * count_tokens(evidence.summary.variant(name))
    if saving and saving.requests is not None and worth:
        return (
            "undecided",
            f"In quality the adapter {adapter} and the prompt {name} cannot be told apart. Below about"
            f" {saving.requests:,} requests the prompt is the cheaper choice, above it the adapter is.",
        )
    return "prompt", f"Keep the prompt {name}: the adapter {adapter} cannot be told apart from it, and saves nothing."


def _collect(evidence: Evidence, metric: Metric, even: tuple[BreakEven, ...]) -> Iterator[str]:
    rival, tuned = evidence.rivals
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
        pair = evidence.pair(metric, a, b)
        names = frozenset((evidence.variants.get(a, ""), evidence.variants.get(b, "")))
        if pair and names not in seen:
            seen.add(names)
            told = tell_pair(pair, metric, evidence.summary, labels)
            yield told[0].upper() + told[1:]
    yield from _tell_requests(evidence, rival, tuned)
    yield from (_tell_break_even(one) for one in even)
    yield from _tell_curve(evidence, metric)


def _tell_requests(evidence: Evidence, rival: Arm, tuned: Arm) -> Iterator[str]:
    prompt, adapter = map(evidence.of, (rival, tuned))
    if math.isfinite(prompt.tokens_in) and math.isfinite(adapter.tokens_in):
        yield (
            f"A request takes {count_tokens(prompt):.0f} tokens with the best prompt and {count_tokens(adapter):.0f}"
            f" with the adapter; half of the answers are there after {format_seconds(prompt.latency_p50)} and"
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


def _tell_curve(evidence: Evidence, metric: Metric) -> Iterator[str]:
    """From how many rows on training beats the best number of shots, by paired tests on the validation split."""
    shots = [point for point in evidence.curve if point.kind == "shots" and math.isfinite(point.score.value)]
    rows = [point for point in evidence.curve if point.kind == "rows" and math.isfinite(point.score.value)]
    if not shots or not rows:
        return
    sign = -1 if metric.lower_is_better else 1
    best = max(shots, key=lambda point: sign * point.score.value)
    pairs = {pair.rows: pair for pair in evidence.curve_pairs if pair.shots == best.count}
    beyond = next((point for point in rows if point.count in pairs and pairs[point.count].verdict == "better"), None)
    shown = format_value(best.score.value, metric, best.score.n)
    where = f"on the {best.score.n:,} cases of the validation split"
    how = f"paired by case and corrected for {max((one.family for one in pairs.values()), default=1)} comparisons"
    if beyond is None:
        yield (
            f"No number of rows that was tried is better beyond chance than {best.count} shots, the best number of them"
            f" ({shown} {where}, {how})."
        )
        return
    chosen = any(trace.role == "validation" for trace in evidence.manifest.data)
    yield (
        f"Prompting stops being enough at {beyond.count} training rows:"
        f" {format_value(beyond.score.value, metric, beyond.score.n)} {where}, against {shown} with {best.count} shots,"
        f" the best number of them ({format_p(pairs[beyond.count].p)}, {how})."
        + (" Training chose its best state on the same split, which flatters the rows a little." if chosen else "")
    )


def _list_caveats(evidence: Evidence, metric: Metric, choice: Choice) -> Iterator[str]:
    made, summary = evidence.manifest, evidence.summary
    training = evidence.training
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


def _verdict(evidence: Evidence, metric: Metric, a: Arm, b: Arm) -> str:
    pair = evidence.pair(metric, a, b)
    return pair.verdict if pair else ""
