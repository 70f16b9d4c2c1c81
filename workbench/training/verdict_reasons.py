"""The reasons of a verdict: comparisons, retention, the search's own figures, requests, break-even, learning curve."""

from __future__ import annotations

import math
from collections.abc import Iterator

from workbench.analysis.narrative import describe_pair, format_value
from workbench.analysis.retention import describe_retention
from workbench.runs.matrix_rows import Metric
from workbench.training.break_even import describe_break_even
from workbench.training.search_record import SearchRecord
from workbench.training.verdict import BreakEven, Condition, VerdictEvidence, count_tokens
from workbench.units import format_duration, format_p, format_plural


def list_reasons(evidence: VerdictEvidence, metric: Metric, even: tuple[BreakEven, ...]) -> Iterator[str]:
    """A sentence each, the comparisons first."""
    written, prompt = evidence.hand_written, evidence.best_prompt(metric)
    labels = {
        name: f"{condition} ({name})" if condition != name else name
        for condition, name in reversed(list(evidence.variants.items()))
    }
    seen: set[frozenset[str]] = set()
    comparisons: tuple[tuple[Condition, Condition], ...] = (
        ("zero-shot", written),
        (written, "optimized prompt"),
        (prompt, "adapter"),
        (written, "adapter"),
        ("zero-shot", "adapter"),
        ("adapter", "adapter, few-shot"),
        ("adapter", "adapter, optimized prompt"),
        (prompt, "adapter, optimized prompt"),
    )
    for a, b in comparisons:
        pair = evidence.pair(metric, a, b)
        names = frozenset((evidence.variants.get(a, ""), evidence.variants.get(b, "")))
        if pair and names not in seen and all(metric.name in evidence.summary.variant(one).scores for one in names):
            seen.add(names)
            sentence = describe_pair(pair, metric, evidence.summary, labels)
            yield sentence[0].upper() + sentence[1:]
    yield from (describe_retention(one) for one in evidence.retention)
    yield from _describe_search(evidence.search)
    yield from _describe_requests(evidence, written)
    yield from (describe_break_even(one) for one in even)
    yield from _describe_curve(evidence, metric)


def _describe_search(record: SearchRecord | None) -> Iterator[str]:
    """What the search itself found: dev flatters the prompt that was selected there."""
    if record is None or record.dev is None:
        return
    found = (
        f"The search chose the optimized prompt from"
        f" {format_plural(record.candidates, 'candidate')} by {record.dev.value:.2f} on dev"
    )
    if record.parent_dev is not None:
        found += f", where its parent {record.parent} has {record.parent_dev.value:.2f}"
    if record.test is not None:
        found += f"; on its test part it has {record.test.value:.2f}"
        if record.parent_test is not None:
            found += f", its parent {record.parent_test.value:.2f}"
        found += "." if record.improved else ": no improvement."
    yield found.rstrip(".") + "."


def _describe_requests(evidence: VerdictEvidence, written: Condition) -> Iterator[str]:
    columns: tuple[tuple[Condition, str], ...] = (
        (written, "best prompt"),
        ("optimized prompt", "optimized prompt"),
        ("adapter", "adapter"),
    )
    found = [(label, evidence.of(one)) for one, label in columns if one in evidence.variants]
    if len(found) < 2 or not all(math.isfinite(one.tokens_in) for _, one in found):
        return
    first, *rest = found
    tokens = [f"{count_tokens(first[1]):.0f} tokens with the {first[0]}"]
    tokens += [f"{count_tokens(one):.0f} with the {label}" for label, one in rest]
    yield (
        f"A request takes {_enumerate(tokens)};"
        f" median latency is {_enumerate([format_duration(one.latency_p50) for _, one in found])}."
    )


def _enumerate(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]])


def _describe_curve(evidence: VerdictEvidence, metric: Metric) -> Iterator[str]:
    """From how many training rows the adapter beats the best number of shots, by paired tests on validation cases."""
    shots = [point for point in evidence.curve if point.kind == "shots" and math.isfinite(point.score.value)]
    rows = [point for point in evidence.curve if point.kind == "rows" and math.isfinite(point.score.value)]
    if not shots or not rows:
        return
    sign = -1 if metric.lower_is_better else 1
    best = max(shots, key=lambda point: sign * point.score.value)
    pairs = {pair.rows: pair for pair in evidence.curve_pairs if pair.shots == best.count}
    beyond = next((point for point in rows if point.count in pairs and pairs[point.count].verdict == "better"), None)
    shown = format_value(best.score.value, metric, best.score.n)
    where = f"on the {format_plural(best.score.n, 'case')} of the validation split"
    how = f"paired by case and corrected for {max((one.family for one in pairs.values()), default=1)} comparisons"
    if beyond is None:
        yield (
            f"No adapter on the learning curve is significantly better than {best.count} shots, the best number"
            f" of shots ({shown} {where}, {how})."
        )
        return
    chosen = evidence.manifest and any(trace.role == "validation" for trace in evidence.manifest.data)
    yield (
        f"The adapter beats few-shot prompting from {beyond.count} training rows on:"
        f" {format_value(beyond.score.value, metric, beyond.score.n)} {where}, against {shown} with {best.count} shots,"
        f" the best number of shots ({format_p(pairs[beyond.count].p)}, {how})."
        + (" Its checkpoints were selected on the same split, which favors the adapter slightly." if chosen else "")
    )
