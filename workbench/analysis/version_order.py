"""The rows of a prompt's history in an order, and their verdicts in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from workbench.analysis.narrative import round_cases
from workbench.analysis.prompt_history import VersionRow
from workbench.units import format_count, format_p

ORDERS = ("date", "score", "verdict")
_RANKS = {"better": 0, "reference": 1, "not distinguishable": 2, "withheld": 3, "": 4, "worse": 5}


def sort_rows(rows: Sequence[VersionRow], order: str) -> list[VersionRow]:
    """date: as they are, newest first. score: best first. verdict: the better ones first, by their difference."""
    if order == "score":
        return sorted(rows, key=_rank_score)
    if order == "verdict":
        return sorted(rows, key=lambda row: (_RANKS[_name_outcome(row)], -_find_gain(row)))
    return list(rows)


def _rank_score(row: VersionRow) -> float:
    value, metric = row.result.score.value, row.result.metric
    if metric is None or math.isnan(value):
        return math.inf
    return value if metric.lower_is_better else -value


def _name_outcome(row: VersionRow) -> str:
    return row.pair.verdict if row.pair else "" if row.reason else "reference"


def _find_gain(row: VersionRow) -> float:
    metric = row.result.metric
    if row.pair is None or metric is None or math.isnan(row.pair.difference):
        return -math.inf
    return -row.pair.difference if metric.lower_is_better else row.pair.difference


def name_verdict(row: VersionRow) -> str:
    """A row's verdict in few words, for a table."""
    if row.pair is None:
        return row.reason
    pair = row.pair
    if pair.verdict == "withheld":
        return "withheld"
    if pair.verdict == "not distinguishable":
        return f"same? (~{format_count(round_cases(pair.needed_cases))} cases)" if pair.needed_cases else "same?"
    return f"{pair.verdict} {pair.difference:+.2f}"


def describe_verdict(row: VersionRow) -> str:
    """How a version did against the reference, with what it rests on; "" for the reference itself."""
    if row.pair is None:
        return row.reason
    pair = row.pair
    interval = "" if math.isnan(pair.low) else f" [{pair.low:+.3f}, {pair.high:+.3f}]"
    figures = f"{pair.difference:+.3f}{interval}, {format_p(pair.p_adjusted)}, {pair.n:,} shared cases"
    if pair.verdict == "withheld":
        return f"withheld: {pair.withheld}"
    if pair.verdict == "not distinguishable":
        needed = f"; about {format_count(round_cases(pair.needed_cases))} cases would tell" if pair.needed_cases else ""
        return f"same? {figures}{needed}"
    return f"{pair.verdict} {figures}"
