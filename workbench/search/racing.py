"""Racing: candidates that share their cases, in growing parts of dev; those that fall behind are dropped early."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.search.candidate import Candidate
from workbench.search.splits import shuffle_numbers
from workbench.statistics.paired import compare_pairs

if TYPE_CHECKING:
    from workbench.search.method_context import MethodContext

_SMALLEST = 12
"""cases of the first part"""


def race(
    search: MethodContext, candidates: Sequence[Candidate], keep: int = 1, leader: Candidate | None = None
) -> tuple[Candidate, ...]:
    """Evaluate candidates on ever more of dev; the best `keep` of them have then answered all of it.

    After each part the better half goes on, and nobody whose paired interval lies below that of the best. The parts are
    the same for the whole search, so that every two candidates have cases in common. leader: the best so far, which
    runs along without a call where its answers are known, and is never dropped.
    """
    running = list({one.id: one for one in candidates if leader is None or one.id != leader.id}.values())
    room = _count_affordable(search, running)
    for one in running[room:]:
        search.drop(one, "the budget has no room for it")
    running = running[:room]
    for size in plan_parts(len(search.dev)):
        if not running:
            return ()
        cases = order_cases(search)[:size]
        search.evaluate(running if leader is None else [*running, leader], cases)
        means = {one.id: _mean(search, one, cases) for one in running}
        running.sort(key=lambda one: (-means[one.id], search.state.mean_tokens(one.id)))
        if size == len(search.dev):
            break
        best = leader if leader is not None and _mean(search, leader, cases) >= means[running[0].id] else running[0]
        going_on = max(keep, (len(running) + 1) // 2)
        for index, one in enumerate(list(running)):
            behind = one.id != best.id and is_below(search, one, best, cases)
            if index >= going_on or behind:
                why = "its interval lies below the best" if behind else f"{index} were better"
                search.drop(one, f"after {size} of {len(search.dev)} cases {why}")
                running.remove(one)
    return tuple(running[:keep])


def _count_affordable(search: MethodContext, candidates: Sequence[Candidate]) -> int:
    """How many of them, from the first, a race can take in within the budget; one at least, which then ends it."""
    left, parts = search.allowance, plan_parts(len(search.dev))
    if left is None:
        return len(candidates)
    for count in range(len(candidates), 1, -1):
        running, cost, before = count, 0, 0
        for size in parts:
            cost += running * (size - before)
            running, before = (running + 1) // 2, size
        if cost * search.prepared.calls_per_case <= left:
            return count
    return 1


def _mean(search: MethodContext, one: Candidate, cases: Sequence[int]) -> float:
    results = search.state.results(one.id)
    values = [results[case].value for case in cases if case in results]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else float("-inf")


def plan_parts(cases: int) -> tuple[int, ...]:
    """How many cases a race takes in: about a quarter, half, all."""
    sizes = (max(_SMALLEST, cases // 4), max(_SMALLEST, cases // 2))
    return (*(size for size in dict.fromkeys(sizes) if size < cases), cases)


def order_cases(search: MethodContext) -> tuple[int, ...]:
    """The numbers of the dev cases in the order in which races take them in."""
    return shuffle_numbers(search.dev, search.request.seed)


def is_below(search: MethodContext, one: Candidate, best: Candidate, cases: Sequence[int]) -> bool:
    """Whether the paired 95% interval of a candidate against the best lies below zero on these cases."""
    ours, theirs = (search.state.results(other.id) for other in (one, best))
    pairs = [(theirs[case].value, ours[case].value) for case in cases if case in ours and case in theirs]
    values = np.array([pair for pair in pairs if None not in pair], dtype=np.float64).reshape(-1, 2)
    if not len(values):
        return False
    metric = search.prepared.task.metric
    (found,) = compare_pairs(values, [(0, 1)], metric.binary, bounded=not metric.free)
    return found.interval.high < 0
