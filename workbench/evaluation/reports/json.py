"""JSON: a summary for other programs.

Knows nothing of cells. The keys are a promise: others build on them.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from workbench.evaluation.summary import Estimate, PairSummary, Summary, VariantSummary
from workbench.evaluation.words import explain_verdict


def render_json(summary: Summary) -> str:
    """`{"run", "variants": [{"name", "n", "scores": {metric: {"value", "low", "high"}}}], "pairs": [{"a", "b",
    "metric", "difference", "low", "high", "p", "verdict"}], "notes": [text]}`.

    difference: b minus a; verdict: of b; p: after Holm's correction, as the verdict goes by. null: not known.
    Where there is something to say, a value or a pair without an interval has `"unknown"`, the reason; a pair whose
    verdict is not what its interval lets one expect has `"explanation"`; a variant has `"problems"`, what could not be
    worked out; and `"notes"` are what to know before the numbers are believed.
    A run with --robustness has `"robustness"` beside them, a Spread for each variant and metric.
    """
    described = {
        "run": summary.run,
        "variants": [_describe_variant(one) for one in summary.variants],
        "pairs": [_describe_pair(one) for one in summary.pairs],
        "notes": list(summary.notes),
        **({"robustness": [_clean(msgspec.to_builtins(one)) for one in summary.spreads]} if summary.spreads else {}),
    }
    return _lay_out(described)


def encode(value: msgspec.Struct) -> str:
    """Any value of a report, under its own names; null: not known."""
    return _lay_out(_clean(msgspec.to_builtins(value)))


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
        **({"problems": one.problems} if one.problems else {}),
    }


def _describe_estimate(found: Estimate) -> dict[str, float | int | str | None]:
    ends = {"value": _know(found.value), "low": _know(found.low), "high": _know(found.high)}
    return {**ends, "n": found.n, **({"unknown": found.unknown} if found.unknown else {})}


def _describe_pair(one: PairSummary) -> dict[str, Any]:
    return {
        "a": one.a,
        "b": one.b,
        "metric": one.metric,
        "difference": _know(one.difference),
        "low": _know(one.low),
        "high": _know(one.high),
        "p": one.p_adjusted,
        "verdict": one.verdict,
        **({"explanation": told} if (told := explain_verdict(one)) else {}),
        **({"unknown": one.unknown} if one.unknown else {}),
    }


def _know(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _clean(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(one) for one in value]
    return _know(value) if isinstance(value, float) else value


def _lay_out(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
