"""Which candidate is the best: the highest mean on all of dev."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.search.candidate import SEED
from workbench.search.state import SearchState

MOST_WITHOUT_VALUE = 0.05
"""The share of dev cases that the best may have no score for, unless the hand-written prompt lacks as many."""


def rank(state: SearchState) -> dict[str, float]:
    """The means on dev of all candidates that can be the best; higher is better."""
    return {name: state.score(name) or 0.0 for name in state.candidates if is_eligible(state, name)}


def is_eligible(state: SearchState, candidate: str) -> bool:
    """Whether it has answered all of dev, and lacks a score for few enough of the cases for its mean to be compared."""
    if not state.is_whole(candidate):
        return False
    lacking, total = _count_lacking(state, candidate)
    of_seed, _ = _count_lacking(state, SEED)
    return lacking <= max(MOST_WITHOUT_VALUE * total, of_seed) and lacking < total


def find_best(state: SearchState, means: Mapping[str, float]) -> str:
    """The highest mean; of equal ones that with the fewer prompt tokens, then the earlier. The seed where there is
    none."""
    order = {name: number for number, name in enumerate(state.candidates)}
    return max(means, key=lambda name: (means[name], -state.mean_tokens(name), -order[name]), default=SEED)


def _count_lacking(state: SearchState, candidate: str) -> tuple[int, int]:
    results = state.results(candidate)
    return sum(one.value is None for one in results.values()), len(results)
