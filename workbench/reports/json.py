"""JSON report: a summary for other programs.

The keys are a promise: others build on them.
"""

from __future__ import annotations

import math
from typing import Any, TextIO

import msgspec

from workbench.analysis.narrative import explain_verdict
from workbench.analysis.summary import (
    Estimate,
    PairSummary,
    RepeatSummary,
    RetrievalEffect,
    SliceTable,
    Summary,
    VariantSummary,
)
from workbench.reports.registry import report
from workbench.runs.matrix_rows import Metric
from workbench.runs.view import RunView


@report(".json", "JSON", "scores, intervals and pairs, for a program")
def write_json(_: RunView, summary: Summary, stream: TextIO) -> None:
    stream.write(render_json(summary))


def render_json(summary: Summary) -> str:
    """`{"run", "variants": [{"name", "n", "scores": {metric: {"value", "low", "high"}}}], "pairs": [{"a", "b",
    "metric", "difference", "low", "high", "p", "verdict"}], "notes": [text]}`.

    Beside these, a variant has latency (seconds), tokens, speed and cost; a pair the test, its effect, the uncorrected
    p, how many pairs the correction is over, and the cases that would be needed to tell.
    A bench with `slices` has `"slices"`: for each column and value the scores, and each variant against the best. A run
    with repeats has `"repeats"`: pass@k, the majority's answer and the best of n.
    difference: b minus a; verdict: of b; p: after Holm's correction, as the verdict goes by. null: not known.
    Where there is something to say, a value or a pair without an interval has `"unknown"`, the reason; a pair whose
    verdict is not what its interval lets one expect has `"explanation"`; a variant has `"problems"`, what could not be
    worked out; and `"notes"` are what to know before the numbers are believed.
    A run with --robustness has `"robustness"` beside them, a Spread for each variant and metric.
    A variant that is a chain has `"steps"`, a StepSummary for each of its steps.
    A run with retrieval has `"retrieval"`: for each variant that searches and each metric, the variants `"none"` and
    `"oracle"` that it is held against, and the pairs `"gain"` (it against none) and `"loss"` (the oracle against it).
    """
    described = {
        "run": summary.run,
        "variants": [_describe_variant(one) for one in summary.variants],
        "pairs": [_describe_pair(one) for one in summary.pairs],
        "notes": list(summary.notes),
        "bench": summary.bench,
        "cases": summary.cases,
        "best": summary.best or None,
        "metrics": [_describe_metric(one) for one in summary.metrics],
        **({"slices": [_describe_slices(one) for one in summary.slices]} if summary.slices else {}),
        **({"repeats": [_describe_repeats(one) for one in summary.repeats]} if summary.repeats else {}),
        **({"robustness": [_clean(msgspec.to_builtins(one)) for one in summary.spreads]} if summary.spreads else {}),
        **({"retrieval": [_describe_retrieval(one) for one in summary.retrieval]} if summary.retrieval else {}),
    }
    return _format_json(described)


def encode(value: msgspec.Struct) -> str:
    """Any value of a report, under its own names; null: not known."""
    return _format_json(_clean(msgspec.to_builtins(value)))


def encode_value(value: dict[str, Any]) -> str:
    """The same of plain values."""
    return _format_json(_clean(value))


def _describe_variant(one: VariantSummary) -> dict[str, Any]:
    return {
        "name": one.name,
        "n": one.n,
        "failed": one.failed,
        "cached": one.cached,
        "cut": one.cut,
        "cut_in_reasoning": one.cut_in_reasoning,
        "unscored": one.unscored,
        "seen": one.seen,
        "scores": {metric: _describe_estimate(found) for metric, found in one.scores.items()},
        "dataset_scores": {key: _describe_dataset_score(one, key) for key in one.dataset_scores},
        "latency": {name: getattr(one, f"latency_{name}") or None for name in ("p50", "p95")}
        | {"cached_p50": one.cached_p50 or None, "first_answer_p50": one.first_answer_p50 or None},
        "tokens": {"in": one.tokens_in, "out": one.tokens_out, "thinking": one.thinking_tokens},
        "tokens_per_second": one.tokens_per_second or None,
        "cost_per_thousand": one.cost_per_thousand or None,
        "thought": one.thought,
        "kind": one.role or None,
        **({"problems": one.problems} if one.problems else {}),
        **({"steps": [_clean(msgspec.to_builtins(step)) for step in one.steps]} if one.steps else {}),
    }


def _describe_estimate(found: Estimate) -> dict[str, float | int | str | None]:
    ends = {
        "value": _finite_or_none(found.value),
        "low": _finite_or_none(found.low),
        "high": _finite_or_none(found.high),
    }
    return {**ends, "n": found.n, **({"unknown": found.unknown} if found.unknown else {})}


def _describe_pair(one: PairSummary) -> dict[str, Any]:
    return {
        "a": one.a,
        "b": one.b,
        "metric": one.metric,
        "difference": _finite_or_none(one.difference),
        "low": _finite_or_none(one.low),
        "high": _finite_or_none(one.high),
        "p": one.p_adjusted,
        "verdict": one.verdict,
        "n": one.n,
        "p_uncorrected": one.p,
        "family": one.family,
        "test": one.test,
        "effect": {"name": one.effect.name, "value": _finite_or_none(one.effect.value)},
        "a_only": one.a_only,
        "b_only": one.b_only,
        "needed_cases": one.needed_cases,
        "needed_least": one.needed_least or None,
        "needed_most": one.needed_most,
        **({"withheld": one.withheld} if one.withheld else {}),
        **({"explanation": message} if (message := explain_verdict(one)) else {}),
        **({"unknown": one.unknown} if one.unknown else {}),
    }


def _describe_metric(one: Metric) -> dict[str, Any]:
    bounded = None if one.free else [0, 1]
    return {"name": one.name, "lower_is_better": one.lower_is_better, "binary": one.binary, "bounds": bounded}


def _describe_dataset_score(one: VariantSummary, key: str) -> dict[str, Any]:
    found = one.dataset_intervals.get(key)
    return _describe_estimate(found) if found else {"value": _finite_or_none(one.dataset_scores[key])}


def _describe_slices(one: SliceTable) -> dict[str, Any]:
    slices = [
        {
            "value": part.value,
            "cases": part.cases,
            "scores": {
                name: {metric: _describe_estimate(found) for metric, found in held.items()}
                for name, held in part.scores.items()
            },
            "pairs": [_describe_pair(pair) for pair in part.pairs],
        }
        for part in one.slices
    ]
    return {"column": one.column, "slices": slices, "others": one.others, "missing": one.missing}


def _describe_repeats(one: RepeatSummary) -> dict[str, Any]:
    return {
        "variant": one.variant,
        "metric": one.metric,
        "repeats": one.repeats,
        "pass_at": {str(count): _describe_estimate(found) for count, found in one.pass_at.items()},
        "majority": _describe_estimate(one.majority) if one.majority else None,
        "best": _describe_estimate(one.best),
        "incomplete": one.incomplete,
    }


def _describe_retrieval(one: RetrievalEffect) -> dict[str, Any]:
    return {
        "variant": one.variant,
        "none": one.none or None,
        "oracle": one.oracle or None,
        "metric": one.metric,
        "gain": _describe_pair(one.gain) if one.gain else None,
        "loss": _describe_pair(one.loss) if one.loss else None,
    }


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _clean(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(one) for one in value]
    return _finite_or_none(value) if isinstance(value, float) else value


def _format_json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
