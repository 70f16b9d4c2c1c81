"""What an adapter or a prompt cost to make, and after how many requests that has paid for itself."""

from __future__ import annotations

import math
from collections.abc import Iterator

from workbench.training.verdict import Basis, BreakEven, Condition, MakingCost, VerdictEvidence, count_tokens
from workbench.units import format_duration, format_money

INVESTED: dict[Condition, tuple[str, str]] = {
    "adapter": ("the training", "the adapter"),
    "optimized prompt": ("the search", "the optimized prompt"),
    "adapter, optimized prompt": ("training and search together", "both"),
}
"""What was paid for a condition, and what a request uses then."""


def find_break_even(evidence: VerdictEvidence, before: Condition, after: Condition) -> Iterator[BreakEven]:
    """In money, where there are prices; in machine time; in tokens. Nothing where the cost is unknown.

    What both needed made, such as the same search, does not count.
    """
    spent, known = evidence.made(after), evidence.made(before) or MakingCost("by hand", 0.0, 0, 0.0)
    if spent is None:
        return
    old, new = evidence.of(before), evidence.of(after)
    bases: tuple[tuple[Basis, float | None, float | None, float], ...] = (
        ("money", spent.money, known.money, (old.cost_per_thousand - new.cost_per_thousand) / 1000),
        ("time", spent.seconds, known.seconds, old.latency_p50 - new.latency_p50),
        ("tokens", spent.tokens, known.tokens, count_tokens(old) - count_tokens(new)),
    )
    for basis, cost, already, saved in bases:
        if cost is not None and already is not None:
            yield _compute_break_even(basis, max(0.0, cost - already), saved, after)


def _compute_break_even(basis: Basis, invested: float, saved: float, condition: Condition) -> BreakEven:
    pays = math.isfinite(saved) and saved > 0
    return BreakEven(basis, invested, saved, math.ceil(invested / saved) if pays else None, condition)


def describe_break_even(one: BreakEven) -> str:
    """In a sentence."""
    unit = {"money": "money", "time": "machine time", "tokens": "tokens"}[one.basis]
    shown = {
        "money": format_money(one.invested),
        "time": format_duration(one.invested),
        "tokens": f"{one.invested:,.0f} tokens",
    }[one.basis]
    made, used = INVESTED[one.condition]
    if one.requests is None:
        return f"In {unit}, {made} ({shown}) never pays for itself: a request with {used} saves nothing."
    return f"In {unit}, {made} ({shown}) pays for itself after {one.requests:,} requests."
