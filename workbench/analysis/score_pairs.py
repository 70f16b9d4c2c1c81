"""Scores as preference pairs: of each case, the best and the worst of several answers by one scorer, a judge or not."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

from workbench.analysis.preferences import describe_pair
from workbench.errors import WorkbenchError
from workbench.runs.cell import Cell
from workbench.runs.passage_finder import PassageFinder
from workbench.runs.view import RunView


class ScoredPair(NamedTuple):
    """The best and the worst answer to a case, each with the variant that gave it. difference: of their scores."""

    case: int
    chosen: str
    rejected: str
    winner: str
    difference: float


class ScoredPairs(NamedTuple):
    """equal: cases whose best and worst answer are not further apart than the margin, or are the same text. single:
    cases with fewer than two scored answers."""

    pairs: tuple[ScoredPair, ...]
    equal: int
    single: int


def pair_by_score(view: RunView, metric: str = "", variant: str = "", margin: float = 0.0) -> ScoredPairs:
    """A pair for each case of a run. variant: only its answers, to its repeats; else of all variants. margin: how much
    better the best has to be. Raises StoreError for an unknown metric, WorkbenchError for an unknown variant."""
    if variant and variant not in view.variants:
        raise WorkbenchError(f"No such variant: {variant}.", f"The run has: {', '.join(view.variants)}.")
    chosen = view.metric(metric)
    pairs, equal, single = [], 0, 0
    for number, cells in groupby(view.cells(), lambda cell: cell.case):
        scored = [
            (value, cell.completion.text, cell.variant)
            for cell in cells
            if not cell.error and variant in ("", cell.variant)
            if (value := _find_score(cell, chosen.name)) is not None
        ]
        if len(scored) < 2:
            single += 1
            continue
        best, worst = (pick(scored, key=lambda one: one[0]) for pick in (max, min))  # the first of equal ones
        better, other = (worst, best) if chosen.lower_is_better else (best, worst)
        if best[0] - worst[0] <= margin or better[1] == other[1]:
            equal += 1
            continue
        pairs.append(ScoredPair(number, better[1], other[1], better[2], best[0] - worst[0]))
    return ScoredPairs(tuple(pairs), equal, single)


def export_pairs(view: RunView, pairs: tuple[ScoredPair, ...], prompt_of: str = "") -> Iterator[dict[str, Any]]:
    """The pairs as TRL's records. prompt_of: as in export_preferences, whose errors it raises."""
    finder = PassageFinder()
    origins = {name: view.origin(name) for name in dict.fromkeys(prompt_of or pair.winner for pair in pairs)}
    for pair in pairs:
        origin = origins[prompt_of or pair.winner]
        yield describe_pair(origin, view, pair.case, pair.chosen, pair.rejected, finder)


def _find_score(cell: Cell, metric: str) -> float | None:
    return next((score.value for score in cell.scores if score.scorer == metric and score.applies), None)
